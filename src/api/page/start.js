// The form that starts an import.

const MAX_IDS = 5_000;

function makeStartForm() {
  for (const resource of RESOURCES) {
    $("start-resources").append(make("label", {}, make("input", { type: "checkbox", name: "resource", value: resource, checked: true }), ` ${resource}`));
  }
  $("start-form").addEventListener("input", showStart);
  $("start-form").addEventListener("submit", start);
}

/** What the form asks for, or what is missing in it. */
function wanted() {
  const resources = [...document.querySelectorAll("[name=resource]:checked")].map((box) => box.value);
  const which = document.querySelector("[name=which]:checked").value;
  const dryRun = $("dry-run").checked;
  const triggerFlows = $("trigger-flows").checked;
  const ids = $("ids").value.split(/[\s,;"']+/).filter(Boolean);
  const since = which === "lastRun" ? "lastRun" : which === "moment" && $("moment").value ? new Date($("moment").value).toISOString() : undefined;
  const options = { since, dryRun: dryRun || undefined, triggerFlows: triggerFlows || undefined, adopt: $("adopt").checked || undefined };
  const busy = resources.filter((resource) => isBusy(runs[resource] ?? {}));
  const missing = [
    !resources.length && "Choose what to import.",
    which === "ids" && resources.length > 1 && "Ids belong to one kind of records: choose one.",
    which === "ids" && !ids.length && "Give the ids.",
    which === "ids" && ids.length > MAX_IDS && `These are ${grouped(ids.length)} ids, and one run takes ${grouped(MAX_IDS)}.`,
    which === "moment" && !since && "Give the moment.",
    which === "moment" && since && Date.parse(since) > now() + 60_000 && "The moment is in the future.",
    triggerFlows && !resources.includes("orders") && "Only the events of orders trigger flows: choose orders, or no flows.",
    busy.length && `Wait for the end of ${busy.join(" and ")}, or stop ${busy.length > 1 ? "them" : "it"}: one import of a kind at a time.`,
    overview?.plan?.status === "running" && resources.length > 1 && "A plan is going on: wait for its end, or stop it.",
  ].find(Boolean);
  return { resources, which, ids, options, missing };
}

/** Says what the button will do. */
function showStart() {
  const { resources, which, ids, options, missing } = wanted();
  $("start-moment").hidden = which !== "moment";
  $("start-ids").hidden = which !== "ids";
  $("start-button").disabled = Boolean(missing);
  const names = resources.join(", ");
  const chosen = {
    all: `all ${names}`,
    lastRun: `the ${names} that have changed since their last complete run`,
    moment: `the ${names} that have changed since ${options.since && moment(options.since)}`,
    ids: `${plural(ids.length, "record")} of ${names}`,
  }[which];
  const what = options.dryRun
    ? `Reads and maps ${chosen}, sends nothing to Klaviyo, and shows samples.`
    : `Imports ${chosen} into Klaviyo${resources.length > 1 ? ", in the right order" : ""}. Records that are there are updated. ${options.triggerFlows ? "Events of orders TRIGGER FLOWS: customers may get mail." : "No flows are triggered."}`;
  say($("start-says"), missing || what);
}

async function start(event) {
  event.preventDefault();
  const { resources, which, ids, options, missing } = wanted();
  if (missing) return;
  $("start-button").disabled = true;
  showProblem($("start-problem"));
  try {
    if (resources.length === 1) await call("POST", `/${resources[0]}`, { ...options, ids: which === "ids" ? ids : undefined });
    else await call("POST", "", { ...options, resources });
    announce(`Started: ${resources.join(", ")}`);
    $("adopt").checked = false;
    $("adopt-label").hidden = true;
    $("runs").focus();
  } catch (problem) {
    showProblem($("start-problem"), problem);
    if (problem.status === 409) $("adopt-label").hidden = false;
  }
  await look();
  showStart();
}
