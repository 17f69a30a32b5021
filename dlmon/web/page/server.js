// What the page asks of `dlmon serve`, and the stream of its news.

/** @import {State} from "./types" */

/** An answer that says no. */
export class ServerError extends Error {
  /**
   * @param {string} message
   * @param {string} hint What to do.
   * @param {number} status 0 where there was no answer.
   */
  constructor(message, hint, status) {
    super(message);
    this.hint = hint;
    this.status = status;
  }
}

/**
 * GET.
 * @template Answer
 * @param {string} path
 * @param {[string, string][]} [query]
 * @param {AbortSignal} [signal]
 * @returns {Promise<Answer>}
 */
export function ask(path, query = [], signal) {
  return request(query.length ? `${path}?${new URLSearchParams(query)}` : path, { signal });
}

/**
 * POST.
 * @template Answer
 * @param {string} path
 * @param {unknown} [body]
 * @param {AbortSignal} [signal]
 * @returns {Promise<Answer>}
 */
export function tell(path, body = {}, signal) {
  return request(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    signal,
  });
}

/** @param {string} address @param {RequestInit} options */
async function request(address, options) {
  let response;
  try {
    response = await fetch(address, options);
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new ServerError("dlmon serve does not answer", "Start it again: dlmon serve", 0);
  }
  const answer = await response.json().catch(() => null);
  if (response.ok) return answer;
  throw new ServerError(
    answer?.error ?? `dlmon serve answered ${response.status}`,
    answer?.hint ?? "",
    response.status,
  );
}

/** What is wrong, and what to do. @param {unknown} error */
export function wordsOf(error) {
  if (!(error instanceof Error)) return String(error);
  return error instanceof ServerError && error.hint
    ? `${error.message.replace(/\.$/, "")}. ${error.hint}`
    : error.message;
}

/** Whether a request was given up because it is no longer wanted. @param {unknown} error */
export const givenUp = (error) => error instanceof DOMException && error.name === "AbortError";

/** Whether the same request may get another answer later. @param {unknown} error */
export const isPassing = (error) =>
  error instanceof ServerError && (error.status === 0 || error.status >= 500);

/**
 * @typedef {object} News
 * @property {State | null} state The newest, or null before the first.
 * @property {string | null} lostAt Since when the server has not answered.
 * @property {string} [refusal] Why it answers, and yet not this browser, and what to do.
 */

const CHANNEL = "dlmon stream";
const RETRY = 2000; // ms, after the server refused the stream

/**
 * Follow the stream. Of all tabs of a browser that are seen, one has it and tells the others; a tab
 * that is hidden neither has it nor hears.
 * @param {(news: News) => void} listener
 */
export function follow(listener) {
  const channel = new BroadcastChannel(CHANNEL);
  /** @type {News} */
  let latest = { state: null, lostAt: null };
  /** @type {AbortController | null} */
  let watching = null;
  let leads = false;

  /** @param {News} news */
  const take = (news) => {
    latest = news;
    if (!document.hidden) listener(news);
  };
  /** @param {News} news */
  const spread = (news) => {
    take(news);
    channel.postMessage(news);
  };
  channel.onmessage = ({ data }) => {
    if (data !== "ask") take(data);
    else if (leads && latest.state) channel.postMessage(latest);
  };

  /** Holds the stream until the signal. @param {AbortSignal} signal */
  async function lead(signal) {
    leads = true;
    while (!signal.aborted) {
      await stream(
        signal,
        (state) => spread({ state, lostAt: null }),
        () => spread({ ...latest, lostAt: latest.lostAt ?? new Date().toISOString() }),
      );
      if (signal.aborted) break;
      spread({ ...latest, refusal: await refusal() });
      await pause(RETRY, signal);
    }
    leads = false;
  }

  function watch() {
    if (watching) return;
    watching = new AbortController();
    const { signal } = watching;
    channel.postMessage("ask");
    // Browsers have locks only for https and for loopback; elsewhere each tab has its own stream.
    if (!navigator.locks) return void lead(signal);
    navigator.locks
      .request(CHANNEL, { signal }, () => lead(signal))
      .catch((error) => {
        if (!givenUp(error)) throw error;
      });
  }
  function rest() {
    watching?.abort();
    watching = null;
  }
  document.addEventListener("visibilitychange", () => (document.hidden ? rest() : watch()));
  addEventListener("pagehide", rest);
  addEventListener("pageshow", () => !document.hidden && watch());
  if (!document.hidden) watch();
}

/**
 * One stream, until the signal or until the server refuses it.
 * @param {AbortSignal} signal
 * @param {(state: State) => void} onState
 * @param {() => void} onLost
 * @returns {Promise<void>}
 */
function stream(signal, onState, onLost) {
  return new Promise((end) => {
    const source = new EventSource("/api/stream");
    const close = () => {
      source.close();
      end();
    };
    signal.addEventListener("abort", close, { once: true });
    source.addEventListener("state", ({ data }) => onState(JSON.parse(data)));
    source.onerror = () => {
      onLost();
      if (source.readyState !== EventSource.CLOSED) return; // it tries again by itself
      signal.removeEventListener("abort", close);
      end();
    };
  });
}

/** Why the server refuses this browser; empty where it does not, or is gone. */
async function refusal() {
  try {
    await ask("/api/state");
  } catch (error) {
    if (error instanceof ServerError && error.status === 401) return wordsOf(error);
  }
  return "";
}

/** @param {number} time ms @param {AbortSignal} signal @returns {Promise<void>} */
function pause(time, signal) {
  return new Promise((end) => {
    if (signal.aborted) return end();
    const timer = setTimeout(done, time);
    signal.addEventListener("abort", done, { once: true });
    function done() {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      end();
    }
  });
}
