// Numbers and times as `dlmon report` prints them on a terminal.

export const DASH = "–";

/** Three digits, or thousands: `58.4`, `1,204`. @param {number | null | undefined} value */
export function number(value) {
  if (value === null || value === undefined) return DASH;
  return value >= 100 ? count(value) : String(Number(value.toPrecision(3)));
}

/** `1,204`. @param {number | null | undefined} value */
export function count(value) {
  return value === null || value === undefined ? DASH : Math.round(value).toLocaleString("en-US");
}

/** In units of 1,000 with three digits: `8.67 MB`. @param {number | null | undefined} value */
export function bytes(value) {
  if (value === null || value === undefined) return DASH;
  let amount = value;
  for (const unit of ["B", "kB", "MB", "GB", "TB"]) {
    if (amount < 999.5) return `${Number(amount.toPrecision(3))} ${unit}`;
    amount /= 1000;
  }
  return `${count(amount)} PB`;
}

/** `20.9%`. @param {number | null | undefined} value From 0 to 1. */
export function share(value) {
  return value === null || value === undefined ? DASH : `${(100 * value).toFixed(1)}%`;
}

/** `1 reject`, `2,000 rejects`. @param {number} value @param {string} noun */
export function counted(value, noun) {
  return `${count(value)} ${noun}${value === 1 ? "" : "s"}`;
}

/** `11-29 22:41:03`, in UTC. @param {string | null | undefined} time */
export function clock(time) {
  if (!time) return DASH;
  const text = new Date(time).toISOString();
  const thisYear = text.slice(0, 4) === new Date().toISOString().slice(0, 4);
  return thisYear ? `${text.slice(5, 10)} ${text.slice(11, 19)}` : text.slice(0, 10);
}

/** `11-29 22:00`, in UTC: what `2026-11-29T22:00Z` is beside others. @param {string} hour */
export function hour(hour) {
  return hour.length > 10 ? `${hour.slice(5, 10)} ${hour.slice(11, 16)}` : hour;
}

/** How long ago: `3 min`. @param {string | number | null | undefined} time */
export function age(time) {
  if (!time) return DASH;
  const seconds = Math.max(0, (Date.now() - new Date(time).getTime()) / 1000);
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min`;
  return seconds < 48 * 3600
    ? `${Math.round(seconds / 3600)} h`
    : `${Math.round(seconds / 86400)} d`;
}
