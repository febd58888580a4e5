// What an operator can do with a run, and the dialog that says what will happen.

const isBusy = (run) => run.status === "running" || run.status === "failed";
const asksForConfirmation = (run) => run.status === "failed" && run.lastError?.code === "removal_unconfirmed";

/** The actions of a resource: what each does, when it makes sense, and its request. */
function actions(resource) {
  const to = `/${resource}`;
  const list = [
    {
      label: () => "Resume",
      says: () => `Continues the failed import of ${resource} from where it stood. Nothing is sent twice to no purpose.`,
      can: (run) => run.status === "failed" && !asksForConfirmation(run),
      body: () => ({ resume: true }),
    },
    {
      label: ({ removal }) => `Remove ${grouped(removal?.count)} ${removal?.kind ?? ""}`,
      says: ({ removal }) => `Goes on with the import and removes ${grouped(removal?.count)} of ${grouped(removal?.of)} ${removal?.kind ?? "entries"} from Klaviyo: those that commercetools no longer has.`,
      shown: asksForConfirmation,
      can: asksForConfirmation,
      danger: true,
      body: ({ removal }) => ({ resume: true, confirmRemoval: removal.count }),
    },
    {
      label: () => "Continue",
      says: () => `Works the next window of ${resource} now. Harmless: if somebody works on it, nothing happens.`,
      shown: (run) => Boolean(run.chainLooksCut),
      can: (run) => Boolean(run.chainLooksCut),
      path: `${to}/continue`,
    },
    {
      label: ({ status }) => (status === "failed" ? "Give up" : "Stop"),
      says: () => `Ends the import of ${resource}. After the response nothing more is sent. What was sent stays in Klaviyo; a new import starts from the beginning.`,
      can: isBusy,
      danger: true,
      path: `${to}/stop`,
    },
    {
      label: ({ failedRecords }) => `Retry failed${failedRecords ? ` (${grouped(failedRecords)})` : ""}`,
      says: ({ failedRecords }) => `Imports again those ${grouped(failedRecords)} ${resource} that have failed and were not imported since, at most 5,000 at once. Correct them in commercetools first.`,
      can: (run) => !isBusy(run) && run.failedRecords > 0,
      body: () => ({ retryFailed: true }),
    },
    {
      label: () => "Dismiss failed",
      says: ({ failedRecords }) => `Forgets the ${grouped(failedRecords)} ${resource} that have failed: they are no longer offered for a retry. Nothing is sent.`,
      can: (run) => run.status !== "running" && run.failedRecords > 0,
      body: () => ({ dismissFailed: true }),
    },
  ];
  if (resource === "categories" || resource === "products") {
    list.push({
      label: () => "Prune",
      says: () => `Removes ${resource} of this project from Klaviyo's catalog that commercetools no longer has. A large number of them is not removed before it is confirmed. Nothing is imported.`,
      can: (run) => !isBusy(run),
      danger: true,
      body: () => ({ prune: true }),
    });
    list.push({
      label: () => "Delete all…",
      says: () => `Deletes ALL ${resource} from Klaviyo's catalog, whoever made them, not only those imported by this app. Only an import brings them back.`,
      can: (run) => !isBusy(run),
      danger: true,
      word: resource,
      body: () => ({ deleteAll: true, confirmDeletion: resource }),
    });
  }
  return list.map((action) => ({ path: to, body: () => undefined, ...action, resource }));
}

/** Asks, does it, and shows what came of it. A deletion is asked twice, the second time for its word. */
async function carryOut(action, run) {
  const title = `${action.label(run).replace("…", "")}: ${action.resource ?? "all"}`;
  const says = action.says(run);
  const doIt = () => call("POST", action.path, action.body(run));
  if (action.word && !(await ask({ title, says, yes: "Go on", danger: true }))) return;
  const question = action.word
    ? { title: `Really delete all ${action.word}?`, says: `This cannot be undone. ${says}`, word: action.word, yes: `Delete all ${action.word}`, danger: true, doIt }
    : { title, says, yes: action.label(run), danger: action.danger, doIt };
  const answer = await ask(question);
  if (answer) announce(`Done: ${title}`);
  look();
}

/** The dialog. Gives the answer of what was done, `true` if there was nothing to do, or nothing if it was cancelled. */
function ask({ title, says, word, yes, danger, doIt }) {
  const dialog = $("ask");
  const button = $("ask-yes");
  $("ask-title").textContent = title;
  $("ask-says").textContent = says;
  $("ask-typed").hidden = !word;
  $("ask-typed").querySelector("label").textContent = `Type ${word} to confirm`;
  const typed = $("ask-word");
  typed.value = "";
  button.textContent = yes;
  button.className = danger ? "danger" : "primary";
  button.hidden = false;
  $("ask-no").textContent = "Cancel";
  const isTyped = () => { button.disabled = Boolean(word) && typed.value.trim() !== word; };
  typed.oninput = isTyped;
  isTyped();
  showProblem($("ask-problem"));
  return new Promise((resolve) => {
    const end = (answer) => { dialog.onclose = null; dialog.close(); resolve(answer); };
    dialog.onclose = () => resolve();
    $("ask-no").onclick = () => end();
    $("ask-form").onsubmit = async (event) => {
      event.preventDefault();
      if (button.disabled) return;
      if (!doIt) return end(true);
      button.disabled = true;
      try {
        end((await doIt()) ?? true);
      } catch (problem) {
        showProblem($("ask-problem"), problem);
        button.hidden = true;
        $("ask-no").textContent = "Close";
        $("ask-no").focus();
      }
    };
    dialog.showModal();
  });
}
