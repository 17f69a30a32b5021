// What `dlmon serve` answers: /openapi.json describes it.

/** A broker or a store. ok: null where it is not known yet. since: when it went up or down. */
export interface Health {
  url: string;
  ok: boolean | null;
  since: string | null;
  reason: string | null;
}

export interface State {
  at: string;
  rates: { events: number | null; bytes: number | null } | null;
  stored: { count: number | null } | null;
  depth: { arrivals: number | null; rejects: number | null } | null;
  broker: Health | null;
  store: Health | null;
  summarising: { done: number; total: number } | null;
  news: {
    rejects: number;
    groups: { code: string; path: string; count: number }[];
    reason?: string;
  } | null;
  jobs: Job[];
  allow_actions: boolean;
}

/** Of a report. p10_mbit and alike are null where there are too few. */
export interface Row {
  key: string;
  label: string;
  count: number;
  bytes: number;
  speeds: number;
  p10_mbit: number | null;
  p50_mbit: number | null;
  p90_mbit: number | null;
  share_below: number | null;
  size_p50_bytes: number | null;
}

export interface Report {
  since: string;
  until: string;
  by: string;
  hidden_cells: number;
  total: Row;
  rows: Row[];
  command?: string;
}

export interface Anomaly {
  kind: string;
  country: string;
  cell: string;
  since: string;
  until: string;
  now: number;
  usual: number;
  ratio: number;
  count: number;
  weeks: number;
  only_mix: boolean;
  visible_drop: number | null;
}

export interface Anomalies {
  since: string;
  until: string;
  tests: number;
  weeks: number | null;
  anomalies: Anomaly[];
  command?: string;
}

export interface Group {
  id: string;
  code: string;
  path: string;
  reason: string;
  count: number;
  first: string | null;
  last: string | null;
}

export interface Look {
  looked_at: string;
  total: number;
  more: boolean;
  groups: Group[];
  command?: string;
}

export interface GroupDetail {
  group: Group;
  rejections: {
    key: string;
    event_id: string | null;
    rejected_at: string | null;
    summary: string;
  }[];
  command?: string;
}

export interface Violation {
  code: string;
  path: string;
  reason: string;
}

export interface Message {
  body: string;
  spans: { start: number; end: number; pointer: string; code: string; reason: string }[];
  violations: Violation[];
  origin: string | null;
  headers: Record<string, unknown>;
}

export interface Trial {
  before: string;
  after: string;
  valid: boolean;
  violations: Violation[];
}

export interface DryRun {
  digest: string;
  total: number;
  valid: number;
  invalid: number;
  unchanged: number;
  diffs: (Trial & { key: string })[];
  command?: string;
}

export interface Job {
  id: string;
  kind: string;
  state: "running" | "waiting" | "done" | "cancelled" | "failed" | "interrupted";
  done: number;
  total: number;
  step: number | null;
  receipt: Record<string, unknown> | null;
}
