// The card of one resource.

const RESOURCES = ["customers", "orders", "categories", "products"];
const MARKS = { running: "▶", completed: "✓", failed: "✗", stopped: "■", idle: "○" };

/** What was asked of a run, in words. */
function asked(options) {
  return [
    options?.dryRun && "dry run: nothing is sent",
    options?.deleteAll && "deletes from Klaviyo",
    options?.since && `changed since ${moment(options.since)}`,
    options?.ids != null && `${plural(options.ids, "record")} by id`,
    options?.startId && `from ${options.startId}`,
    options?.triggerFlows && "triggers flows",
  ].filter(Boolean);
}

function pill(status, element = make("span")) {
  element.className = `pill ${status}`;
  say(element, `${MARKS[status] ?? "·"} ${status}`);
  return element;
}

/** The elements of a card that change. */
function makeCard(resource) {
  const part = {};
  const keep = (name, element) => (part[name] = element);
  const folded = (name, title) => keep(name, make("details", { hidden: true },
    keep(`${name}Title`, make("summary", {}, title)), keep(`${name}Body`, make("div"))));
  part.root = make("article", { class: "run", id: resource, "aria-labelledby": `${resource}-title` },
    make("div", { class: "row" }, make("h2", { id: `${resource}-title` }, resource), keep("status", make("span"))),
    keep("chips", make("div", { class: "chips" })),
    keep("bar", make("div", { class: "bar", role: "progressbar", "aria-label": `Progress of ${resource}`, "aria-valuemin": "0", "aria-valuemax": "100" })),
    keep("progress", make("p", { class: "quiet" })),
    keep("tiles", make("div", { class: "tiles" })),
    keep("reasons", make("ul", { class: "reasons" })),
    keep("chart", make("figure")),
    keep("facts", make("dl", { class: "facts" })),
    keep("error", make("div", { class: "problem" })),
    keep("advice", make("p", { class: "advice" })),
    keep("actions", make("div", { class: "actions", role: "group", "aria-label": `Actions for ${resource}` })),
    folded("aside", "Set aside"), folded("samples", "Samples"), folded("report", "The run before"));
  part.buttons = actions(resource).map((action) => {
    const button = make("button", { type: "button", class: action.danger ? "danger" : "", title: action.says({}), onclick: () => carryOut(action, runs[resource] ?? {}) }, action.label({}));
    part.actions.append(button);
    return { action, button };
  });
  return part;
}

function showRun(part, resource, run) {
  const { status, counts, options } = run;
  part.root.dataset.status = status;
  pill(status, part.status);
  fill(part.chips, options, () => asked(options).map((text) => make("span", {}, text)));
  part.chips.hidden = !asked(options).length;
  showProgress(part, run);
  showCounts(part, run);
  fill(part.chart, run.history, () => chart(run.history));
  part.chart.hidden = !part.chart.firstChild;
  showTimes(part, run);
  const error = run.lastError;
  fill(part.error, error, () => (error ? [make("b", {}, `Last error, ${moment(error.at)}`), error.message] : []));
  part.error.hidden = !error;
  say(part.advice, run.advice ?? "");
  for (const { action, button } of part.buttons) {
    say(button, action.label(run));
    button.title = action.says(run);
    button.hidden = action.shown ? !action.shown(run) : false;
    button.disabled = !action.can(run);
  }
  showAside(part, resource, run);
  showSamples(part, run.samples ?? []);
  showReport(part, run);
  for (const name of ["tiles", "bar", "progress"]) part[name].hidden = !counts;
}

/** A bar for each phase. */
function showProgress(part, run) {
  const { percent, phasePosition } = run;
  const of = phasePosition?.of ?? part.of ?? 1;
  part.of = of;
  if (part.bar.children.length !== of) {
    part.bar.replaceChildren(...Array.from({ length: of }, () => make("span", {}, make("i"))));
  }
  const unknown = percent == null && run.status === "running";
  part.bar.classList.toggle("open", unknown);
  [...part.bar.children].forEach((phase, index) => {
    const share = Math.min(1, Math.max(0, (percent ?? 0) / 100 * of - index));
    phase.firstChild.style.width = unknown ? "" : `${share * 100}%`;
  });
  if (percent == null) part.bar.removeAttribute("aria-valuenow");
  else part.bar.setAttribute("aria-valuenow", percent);
  const total = run.total == null ? "" : ` of ${grouped(run.total)}${run.totalIsAtLeast ? " or more" : ""}`;
  const words = [
    percent != null && `${percent} %`,
    run.counts && `${grouped(run.counts.read)}${total} read`,
    of > 1 && phasePosition && `phase ${phasePosition.index + 1} of ${of}: ${run.phase ?? "items"}`,
    run.rate && `${grouped(Math.round(run.rate))} a second`,
  ];
  say(part.progress, words.filter(Boolean).join(" · "));
}

function showCounts(part, { counts, variants }) {
  fill(part.tiles, [counts, variants], () => (counts ? [
    tile("sent", counts.sent, variants?.sent),
    tile("skipped", sum(counts.skipped), variants && sum(variants.skipped), "warn"),
    tile("failed", counts.failed, variants?.failed, "bad"),
  ] : []));
  fill(part.reasons, [counts, variants], () => [
    ...reasons(counts, ""), ...reasons(variants, " (variants)"),
  ]);
}

function tile(name, count, variants, mark) {
  const more = variants == null ? "" : `, ${plural(variants, "variant")}`;
  return make("div", { class: mark && (count || variants) ? mark : "" }, make("b", {}, grouped(count)), make("span", {}, name + more));
}

function reasons(counts, suffix) {
  const line = (name, count, word) => make("li", {}, make("b", {}, grouped(count)), ` ${word} ${name.replaceAll("-", " ")}${suffix}`);
  return [
    ...Object.entries(counts?.skipped ?? {}).map(([name, count]) => line(name, count, "skipped:")),
    ...Object.entries(counts?.notes ?? {}).map(([name, count]) => line(name, count, "noted:")),
  ];
}

/** What changes with every second. */
function showTimes(part, run) {
  const until = (time) => duration((Date.parse(time) - now()) / 1000);
  const since = (time) => duration((now() - Date.parse(time)) / 1000);
  const goesOn = run.status === "running";
  const future = (time) => time && Date.parse(time) > now();
  const facts = [];
  if (goesOn && run.waitingFor) facts.push(["Waits for", `${run.waitingFor}${future(run.notBefore) ? `, ${until(run.notBefore)} more` : ""}`]);
  if (run.estimatedEnd) facts.push(["Ends about", `${moment(run.estimatedEnd)}, in ${until(run.estimatedEnd)}`]);
  if (goesOn && run.lastProgressAt) facts.push(["Last progress", `${since(run.lastProgressAt)} ago`]);
  if (goesOn) {
    facts.push(["Lease", future(run.lease?.until) ? `an invocation works, for ${until(run.lease.until)} at most` : run.chainLooksCut ? "nobody works on it: the chain looks cut" : "nobody works on it right now"]);
    facts.push(["Window", `${grouped(run.window)}${run.jobsUnderWay ? `, ${plural(run.jobsUnderWay, "job")} at Klaviyo` : ""}${run.killedWindows ? `, ${run.killedWindows} killed in a row` : ""}`]);
  }
  if (run.startedAt) facts.push(["Started", moment(run.startedAt)]);
  if (run.finishedAt) facts.push(["Ended", `${moment(run.finishedAt)}, after ${duration((Date.parse(run.finishedAt) - Date.parse(run.startedAt)) / 1000)}`]);
  if (run.upToDateSince) facts.push(["Up to date as of", moment(run.upToDateSince)]);
  if (run.failedRecords) facts.push(["To be retried", plural(run.failedRecords, "record")]);
  if (run.destination) facts.push(["Klaviyo", `${run.destination.fingerprint}${run.destination.hasThisKey ? "" : " (not by this key)"}`]);
  fill(part.facts, facts, () => facts.flatMap(([name, text]) => [make("dt", {}, name), make("dd", {}, text)]));
  part.facts.hidden = !facts.length;
}

function showAside(part, resource, run) {
  const records = run.setAside ?? [];
  part.aside.hidden = !records.length;
  const omitted = run.setAsideOmitted ? `, ${grouped(run.setAsideOmitted)} more are counted only` : "";
  say(part.asideTitle, `Set aside: ${plural(records.length, "record")}${omitted}`);
  fill(part.asideBody, records, () => records.length ? [
    make("div", { class: "actions" },
      make("button", { type: "button", class: "small", onclick: () => download(`${resource}-set-aside.csv`, [["id", "outcome", "reason"], ...records.map(({ id, outcome, reason }) => [id, outcome, reason])]) }, "Download as CSV"),
      make("button", { type: "button", class: "small", onclick: (event) => copy(records.map(({ id }) => id).filter(Boolean).join("\n"), event.target) }, "Copy all ids")),
    make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Records of ${resource} that were set aside` },
      make("table", { class: "aside" },
        make("thead", {}, make("tr", {}, ...["Outcome", "Id", "Reason", "Copy"].map((name) => make("th", { scope: "col" }, name)))),
        make("tbody", {}, ...records.map(asideRow)))),
  ] : []);
}

function asideRow({ id, outcome, reason }) {
  return make("tr", {},
    make("td", {}, make("span", { class: outcome }, outcome)),
    make("td", { class: "id" }, id ?? "unknown"),
    make("td", { class: "reason" }, reason),
    make("td", {}, id ? make("button", { type: "button", class: "small", "aria-label": `Copy the id ${id}`, onclick: (event) => copy(id, event.target) }, "Copy") : ""));
}

function showSamples(part, samples) {
  part.samples.hidden = !samples.length;
  say(part.samplesTitle, `${plural(samples.length, "sample")} of what would be sent, personal data masked`);
  const text = (value) => make("pre", { tabindex: "0" }, JSON.stringify(value, null, 2));
  fill(part.samplesBody, samples, () => samples.map(({ kind, profile, document }) => make("div", {},
    make("h3", {}, kind),
    make("div", { class: "samples" },
      ...(profile ? [make("div", {}, "Profile", text(profile))] : []),
      make("div", {}, "Document", text(document))))));
}

/** The run and the one before it, side by side. */
function showReport(part, run) {
  const before = run.lastReport;
  part.report.hidden = !before;
  const row = (name, value) => make("tr", {}, make("th", { scope: "row" }, name),
    ...[run, before].map((report) => make("td", { class: "number" }, value(report) ?? "")));
  const took = ({ startedAt, finishedAt }) => finishedAt && duration((Date.parse(finishedAt) - Date.parse(startedAt)) / 1000);
  const count = (of) => (report) => grouped(of(report.counts)) + (report.variants ? ` + ${plural(of(report.variants), "variant")}` : "");
  fill(part.reportBody, before && [run.counts, run.variants, run.status, run.finishedAt, before], () => before ? [
    make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "This run and the run before" }, make("table", {},
      make("thead", {}, make("tr", {}, make("td"), make("th", { scope: "col" }, "This run"), make("th", { scope: "col" }, "The run before"))),
      make("tbody", {},
        row("Status", (report) => report.status + (report.dryRun || report.options?.dryRun ? ", dry run" : "") + (report.deleteAll || report.options?.deleteAll ? ", deletion" : "")),
        row("Started", (report) => moment(report.startedAt)),
        row("Took", took),
        row("Read", count((counts) => counts.read)),
        row("Sent", count((counts) => counts.sent)),
        row("Skipped", count((counts) => sum(counts.skipped))),
        row("Failed", count((counts) => counts.failed)),
        row("Documents", count((counts) => counts.documents))))),
  ] : []);
}
