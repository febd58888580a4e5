// Calls of the API. The token is in this tab's session only, and goes into one header.

const KEY = "klaviyo-bulk-import-token";
const TIMEOUT_MS = 60_000;
/** The API's path, also behind a proxy that has put something before it. */
const API = location.pathname.replace(/\/page\/*$/, "");

let token = sessionStorage.getItem(KEY);
/** How far the app's clock is ahead of this one, in milliseconds: countdowns are in its time. */
let ahead = 0;
const now = () => Date.now() + ahead;

function keepToken(value) {
  token = value;
  if (value) sessionStorage.setItem(KEY, value);
  else sessionStorage.removeItem(KEY);
}

/** An answer that is an error, or none (`status` 0). */
class Problem extends Error {
  constructor(status, members) {
    super(members.title);
    Object.assign(this, members, { status });
  }
}

async function call(method, path, body) {
  let answer;
  let members = {};
  try {
    answer = await fetch(API + path, {
      method,
      headers: { Authorization: `Bearer ${token}`, ...(body && { "Content-Type": "application/json" }) },
      body: body && JSON.stringify(body),
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const date = Date.parse(answer.headers.get("Date"));
    // it is cut to seconds
    if (Math.abs(date - Date.now()) > 2_000) ahead = date - Date.now();
    members = await answer.json();
  } catch (error) {
    if (!answer) throw new Problem(0, { title: "The app does not answer", detail: error.message });
    if (answer.ok) throw new Problem(0, { title: "The answer was cut off" });
  }
  if (answer.ok) return members;
  throw new Problem(answer.status, { title: `The answer was ${answer.status}`, ...members });
}
