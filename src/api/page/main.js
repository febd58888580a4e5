// The page: signs in, looks again and again, and shows what there is.

/** How often the page looks, in milliseconds: while something runs, while nothing does, and at most. */
const BUSY_MS = 2_000;
const IDLE_MS = 10_000;
const SLOWEST_MS = 60_000;

let overview;
let runs = {};
const cards = {};
let timer;
let looking;
let failures = 0;
let hiddenLooks = 0;
let awaySince;

function signOut(problem) {
  clearTimeout(timer);
  keepToken(null);
  overview = undefined;
  runs = {};
  $("app").hidden = $("tools").hidden = true;
  $("login").hidden = false;
  showProblem($("login-problem"), problem);
  $("token").focus();
}

/** Looks, unless it is looking already. */
function look() {
  clearTimeout(timer);
  looking ??= lookOnce().finally(() => { looking = undefined; });
  return looking;
}

async function lookOnce() {
  let wait;
  try {
    const seen = await call("GET", "/status");
    if (!token) return;
    overview = seen;
    await Promise.all(RESOURCES.map(lookAt));
    failures = 0;
    awaySince = undefined;
    showProblem($("away"));
    show();
  } catch (problem) {
    if (problem.status === 401) return signOut({ title: "This token is not valid", detail: "The app does not take it. It is the value of the variable api_token." });
    failures += 1;
    awaySince ??= Date.now();
    wait = nextLook();
    showProblem($("away"), { title: problem.title, detail: [problem.detail, `Not seen since ${moment(awaySince)}; the page looks again every ${duration(wait / 1000)}. Imports do not depend on this page.`].filter(Boolean).join(" "), advice: problem.advice });
    $("app").hidden = $("tools").hidden = false;
    $("login").hidden = true;
  }
  timer = setTimeout(look, wait ?? nextLook());
}

/** The whole of a run, if it has changed. */
async function lookAt(resource) {
  const short = overview[resource];
  const known = runs[resource];
  const isKnown = known && known.runId === short.runId && known.updatedAt === short.updatedAt;
  if (short.status === "idle") runs[resource] = short;
  else if (isKnown) runs[resource] = { ...known, ...short };
  else runs[resource] = await call("GET", `/${resource}`);
}

function nextLook() {
  const isBusy = overview?.plan?.status === "running" || RESOURCES.some((resource) => runs[resource]?.status === "running");
  if (document.hidden) {
    hiddenLooks += 1;
    return Math.min(SLOWEST_MS, IDLE_MS * 2 ** hiddenLooks);
  }
  hiddenLooks = 0;
  if (failures) return Math.min(30_000, 1_000 * 2 ** failures);
  return isBusy ? BUSY_MS : IDLE_MS;
}

function show() {
  $("app").hidden = $("tools").hidden = false;
  $("login").hidden = true;
  for (const resource of RESOURCES) {
    const run = runs[resource];
    if (!cards[resource]) $("runs").append((cards[resource] = makeCard(resource)).root);
    const before = cards[resource].root.dataset.status;
    showRun(cards[resource], resource, run);
    if (before && before !== run.status) announce(`${resource}: ${run.status}${run.counts ? `, ${grouped(run.counts.sent)} sent, ${grouped(run.counts.failed)} failed` : ""}`);
  }
  showPlan(overview.plan);
  $("stop-all").disabled = overview.plan?.status !== "running" && !RESOURCES.some((resource) => runs[resource].status === "running");
  say($("looked"), `Seen at ${new Date().toLocaleTimeString()}.`);
  showTitle();
  showStart();
}

function showTitle() {
  const those = (status) => RESOURCES.filter((resource) => runs[resource].status === status);
  const percents = those("running").map((resource) => runs[resource].percent ?? 0);
  const failed = those("failed").length ? "✗ failed · " : "";
  const running = percents.length ? `${Math.round(percents.reduce((all, one) => all + one) / percents.length)} % · ` : "";
  document.title = `${failed || running}Klaviyo bulk import`;
}

function showPlan(plan) {
  $("plan").hidden = !plan;
  if (!plan) return;
  pill(plan.status, $("plan-status"));
  fill($("plan-steps"), plan.steps, () => plan.steps.map(({ resource, state, note }) =>
    make("li", {}, `${resource} `, make("span", { class: state }, state), ...(note ? [make("p", { class: "quiet" }, note)] : []))));
  say($("plan-advice"), plan.advice);
}

async function check() {
  const button = $("check-button");
  button.disabled = true;
  $("check").hidden = false;
  $("check-lines").replaceChildren();
  say($("check-summary"), "Trying everything. This takes some seconds…");
  try {
    const { ok, lines } = await call("GET", "/check");
    const failed = lines.filter(({ state }) => state === "failed").length;
    say($("check-summary"), ok ? "Nothing has failed." : `${plural(failed, "line")} failed.`);
    const marks = { ok: "✓", failed: "✗", unknown: "?" };
    // what needs attention comes first
    const rank = ({ state }) => ["failed", "unknown", "ok"].indexOf(state);
    $("check-lines").append(...lines.sort((a, b) => rank(a) - rank(b)).map(({ what, state, detail, fix }) => make("li", { "data-state": state },
      make("span", { class: state, "aria-hidden": "true" }, marks[state]),
      make("div", {}, make("b", {}, what), make("span", { class: "unseen" }, ` (${state})`), make("br"), detail,
        ...(fix ? [make("p", { class: "advice" }, fix)] : [])))));
  } catch (problem) {
    say($("check-summary"), [problem.title, problem.detail, problem.advice].filter(Boolean).join(". "));
  }
  button.disabled = false;
  $("check-title").focus();
}

$("login-form").addEventListener("submit", (event) => {
  event.preventDefault();
  keepToken($("token").value.trim());
  $("token").value = "";
  showProblem($("login-problem"));
  look();
});
$("sign-out").addEventListener("click", () => signOut());
$("check-button").addEventListener("click", check);
$("check-close").addEventListener("click", () => { $("check").hidden = true; $("check-button").focus(); });
$("stop-all").addEventListener("click", () => carryOut({
  label: () => "Stop",
  says: () => "Ends the plan and every import that runs. After the response nothing more is sent. What was sent stays in Klaviyo.",
  danger: true,
  path: "/stop",
  body: () => undefined,
}, {}));
document.addEventListener("visibilitychange", () => { if (token && !document.hidden) look(); });
window.addEventListener("online", () => { if (token) look(); });
setInterval(() => {
  for (const resource of Object.keys(cards)) if (runs[resource]) showTimes(cards[resource], runs[resource]);
}, 1_000);

makeStartForm();
if (token) look();
else signOut();
