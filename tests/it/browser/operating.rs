//! What an operator does with the page.

use std::time::Duration;

use native::{Operator, Setup, TOKEN};
use serde_json::{Value, json};
use sim::faults::{Fault, Rule};
use sim::klaviyo::{Choice, JobTimes};

use super::visit::{button, choose_only, do_it, enter_token, open, sign_in, until_shown};
use crate::support::component::{IntoHosted, Shop};

/// A shop whose time is the browser's.
async fn shop(setup: impl IntoHosted) -> Shop {
    Shop::open(setup.hosted().speed(1.0)).await
}

/// Some of everything, with jobs that are soon over.
fn everything() -> Setup {
    let mut setup = Setup::everything();
    setup.klaviyo.job_times = JobTimes::taking(Duration::from_millis(300));
    setup
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_is_asked_for_kept_in_the_tab_and_forgotten() {
    let shop = shop(Setup::customers(1)).await;
    let Some(browser) = open("token", &shop).await else {
        return;
    };
    browser.shoot("login").await;
    assert_eq!(
        browser.eval("document.getElementById('app').hidden").await,
        true
    );
    enter_token(&browser, "not-the-token-of-this-app").await;
    browser
        .until("!document.getElementById('login-problem').hidden")
        .await;
    assert!(browser.text("#login-problem").await.contains("not valid"));
    browser.shoot("refused").await;
    browser.assert_accessible("refused").await;
    enter_token(&browser, TOKEN).await;
    browser
        .until("document.querySelectorAll('.run').length === 4")
        .await;
    // it is in this tab's session and nowhere else
    let kept = "[Object.values(sessionStorage), Object.values(localStorage), document.cookie, location.href.includes('token')]";
    assert_eq!(browser.eval(kept).await, json!([[TOKEN], [], "", false]));
    browser.client.refresh().await.expect("it loads again");
    browser
        .until("document.querySelectorAll('.run').length === 4")
        .await;
    browser.click("#sign-out").await;
    browser
        .until("!document.getElementById('login').hidden")
        .await;
    assert_eq!(browser.eval("sessionStorage.length").await, 0);
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_started_and_followed_to_its_end() {
    let shop = shop(everything().latency_ms(300)).await;
    let Some(browser) = sign_in("import", &shop).await else {
        return;
    };
    browser.shoot("idle").await;
    assert!(
        browser
            .text("#start-says")
            .await
            .contains("No flows are triggered")
    );
    browser.click("#start-button").await;
    until_shown(&browser, "customers", "running").await;
    browser
        .until("document.querySelector('#plan-steps').children.length === 4")
        .await;
    browser.shoot("running").await;
    browser.assert_accessible("running").await;
    for resource in ["customers", "orders", "categories", "products"] {
        until_shown(&browser, resource, "completed").await;
        let status = shop.status(resource).await;
        let sent = status["counts"]["sent"].as_u64().expect("a count");
        let tile = format!("#{resource} .tiles b");
        assert_eq!(browser.text(&tile).await, sent.to_string());
        let chart = format!("#{resource} svg[role=img]");
        let label = browser
            .eval(&format!(
                "document.querySelector('{chart}').getAttribute('aria-label')"
            ))
            .await;
        assert!(
            label
                .as_str()
                .is_some_and(|label| label.contains("records a second")),
            "{label}"
        );
        let now =
            format!("document.querySelector('#{resource} .bar').getAttribute('aria-valuenow')");
        assert_eq!(browser.eval(&now).await, "100");
    }
    browser
        .until("document.querySelector('#plan-status').textContent.includes('completed')")
        .await;
    assert!(shop.read("/sync/status").await["plan"]["status"] == "completed");
    browser.shoot("completed").await;
    browser.assert_accessible("completed").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_stopped_after_saying_what_that_means() {
    let mut setup = Setup::customers(5);
    setup.klaviyo.job_times = JobTimes::taking(Duration::from_secs(3_000));
    let shop = shop(setup).await;
    let Some(browser) = sign_in("stop", &shop).await else {
        return;
    };
    choose_only(&browser, "customers").await;
    browser.click("#start-button").await;
    until_shown(&browser, "customers", "running").await;
    browser
        .until("document.querySelector('#customers .facts').textContent.includes('job')")
        .await;
    // Escape changes nothing
    let stop = button(&browser, "customers", "Stop").await;
    browser.click(&stop).await;
    browser.shoot("asked").await;
    browser.assert_accessible("asked").await;
    browser.type_keys("\u{e00c}").await;
    browser.until("!document.getElementById('ask').open").await;
    assert_eq!(shop.status("customers").await["status"], "running");
    let says = do_it(&browser, "customers", "Stop").await;
    assert!(says.contains("nothing more is sent"), "{says}");
    until_shown(&browser, "customers", "stopped").await;
    assert_eq!(shop.status("customers").await["status"], "stopped");
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_run_shows_its_advice_and_is_resumed() {
    let shop = shop(everything()).await;
    let Some(browser) = sign_in("failure", &shop).await else {
        return;
    };
    let faults = shop.world.klaviyo_faults();
    faults.add(Rule::always(Fault::refuse(403)).path("profile-bulk-import-jobs"));
    choose_only(&browser, "customers").await;
    browser.click("#start-button").await;
    until_shown(&browser, "customers", "failed").await;
    let advice = browser.text("#customers .advice").await;
    assert!(advice.contains("klaviyo_auth_key"), "{advice}");
    assert!(browser.text("#customers .problem").await.contains("403"));
    browser.shoot("failed").await;
    browser.assert_accessible("failed").await;
    // what makes no sense cannot be pressed
    for (label, can) in [
        ("Resume", true),
        ("Give up", true),
        ("Retry", false),
        ("Dismiss", false),
    ] {
        let selector = button(&browser, "customers", label).await;
        let enabled = browser
            .eval(&format!("!document.querySelector('{selector}').disabled"))
            .await;
        assert_eq!(enabled, can, "{label}");
    }
    shop.end_faults();
    do_it(&browser, "customers", "Resume").await;
    until_shown(&browser, "customers", "completed").await;
    let status = shop.status("customers").await;
    assert_eq!(status["counts"]["sent"], status["total"]);
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_a_problem_is_shown_with_its_advice() {
    let shop = shop(everything()).await;
    let Some(browser) = sign_in("problem", &shop).await else {
        return;
    };
    // no run has completed that changes could be looked for since
    choose_only(&browser, "orders").await;
    browser.click("[name=which][value=lastRun]").await;
    browser.click("#start-button").await;
    browser
        .until("!document.getElementById('start-problem').hidden")
        .await;
    let problem = browser.text("#start-problem").await;
    let answer = shop.post("/sync/orders", json!({"since": "lastRun"})).await;
    assert!(
        problem.contains(answer.body["detail"].as_str().expect("a detail")),
        "{problem}"
    );
    browser.shoot("refused").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_check_shows_what_has_failed_first_and_how_to_fix_it() {
    let shop = shop(everything()).await;
    let Some(browser) = sign_in("check", &shop).await else {
        return;
    };
    shop.world
        .klaviyo_faults()
        .add(Rule::always(Fault::refuse(401)));
    browser.click("#check-button").await;
    browser
        .until("document.querySelectorAll('#check-lines li').length > 5")
        .await;
    let check = shop.read("/sync/check").await;
    let failed = check["lines"]
        .as_array()
        .expect("lines")
        .iter()
        .find(|line| line["state"] == "failed");
    let failed = failed.expect("a line that failed");
    let first = browser.text("#check-lines li").await;
    for member in ["what", "detail", "fix"] {
        let text = failed[member].as_str().expect("a text");
        assert!(first.contains(text), "{first}: {text}");
    }
    assert!(browser.text("#check-summary").await.contains("failed"));
    browser.shoot("failed").await;
    browser.assert_accessible("check").await;
    browser.click("#check-close").await;
    browser.close().await;
}

/// What must stay text, wherever it comes from.
const MARKUP: &str = "<img src=x onerror=\"document.body.id='broken'\"><b>bold</b>";

#[tokio::test(flavor = "multi_thread")]
async fn foreign_text_stays_text_and_no_cell_is_a_formula() {
    let shop = shop(everything()).await;
    shop.start("customers", "").await;
    shop.completed("customers").await;
    shop.change_document("customers", |run| {
        run["setAside"] = json!([
            {"id": MARKUP, "outcome": "failed", "reason": MARKUP},
            {"id": "=1+1", "outcome": "skipped", "reason": "+cmd|' /C calc'!A0"},
            {"id": "@x", "outcome": "skipped", "reason": "-2 \"quoted\", and\nmore"},
            {"outcome": "failed", "reason": "unnamed"},
        ]);
        run["lastError"] = json!({"at": run["startedAt"], "message": MARKUP, "advice": MARKUP});
        run["counts"]["skipped"] = json!({MARKUP: 2});
        run["samples"] = json!([{"kind": MARKUP, "document": {"a": MARKUP}}]);
    });
    let Some(browser) = sign_in("table", &shop).await else {
        return;
    };
    for details in [
        "#customers details:nth-of-type(1) summary",
        "#customers details:nth-of-type(2) summary",
    ] {
        browser.click(details).await;
    }
    browser.shoot("markup").await;
    browser.assert_accessible("table").await;
    assert_eq!(
        browser
            .eval("document.querySelectorAll('#customers img, #customers .aside b').length")
            .await,
        0
    );
    assert_eq!(browser.eval("document.body.id").await, "");
    assert_eq!(browser.text("#customers .aside td.id").await, MARKUP);
    assert_eq!(browser.text("#customers .aside td.reason").await, MARKUP);
    assert_eq!(
        browser
            .eval("document.querySelectorAll('#customers .aside tbody tr').length")
            .await,
        4
    );
    let catch = "
        window.caught = [];
        const make = URL.createObjectURL;
        URL.createObjectURL = (blob) => { blob.text().then((text) => window.caught.push(text)); return make.call(URL, blob); };
        document.addEventListener('click', (event) => { if (event.target.download) { window.named = event.target.download; event.preventDefault(); } }, true);
        HTMLAnchorElement.prototype.click = function () { window.named = this.download; };";
    browser.run(catch, Vec::new()).await;
    browser.click("#customers details .actions button").await;
    browser.until("window.caught.length === 1").await;
    assert_eq!(
        browser.eval("window.named").await,
        "customers-set-aside.csv"
    );
    let quoted = MARKUP.replace('"', "\"\"");
    let expected = format!(
        "\"id\",\"outcome\",\"reason\"\r\n\"{quoted}\",\"failed\",\"{quoted}\"\r\n\"'=1+1\",\"skipped\",\"'+cmd|' /C calc'!A0\"\r\n\
         \"'@x\",\"skipped\",\"'-2 \"\"quoted\"\", and\nmore\"\r\n\"\",\"failed\",\"unnamed\"\r\n"
    );
    let caught = browser.eval("window.caught[0]").await;
    assert_eq!(
        caught
            .as_str()
            .expect("a text")
            .trim_start_matches('\u{feff}'),
        expected
    );
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_shows_masked_samples_beside_the_run_before() {
    let shop = shop(everything()).await;
    shop.start("customers", "").await;
    shop.completed("customers").await;
    let Some(browser) = sign_in("dry-run", &shop).await else {
        return;
    };
    choose_only(&browser, "customers").await;
    browser.click("#dry-run").await;
    assert!(browser.text("#start-says").await.contains("sends nothing"));
    browser.click("#start-button").await;
    browser
        .until("document.querySelector('#customers .chips').textContent.includes('dry run')")
        .await;
    until_shown(&browser, "customers", "completed").await;
    browser
        .until("!document.querySelector('#customers details:nth-of-type(2)').hidden")
        .await;
    for at in [2, 3] {
        browser
            .click(&format!("#customers details:nth-of-type({at}) summary"))
            .await;
    }
    let samples = browser.text("#customers details:nth-of-type(2)").await;
    let status = shop.status("customers").await;
    let shown: Value = serde_json::from_str(
        browser
            .text("#customers .samples div:last-child pre")
            .await
            .as_str(),
    )
    .expect("JSON");
    assert_eq!(shown, status["samples"][0]["document"]);
    assert!(samples.contains("***"), "{samples}");
    let report = browser.text("#customers details:nth-of-type(3)").await;
    assert!(
        report.contains("completed, dry run") && report.contains("The run before"),
        "{report}"
    );
    browser.shoot("samples").await;
    browser.assert_accessible("samples").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_records_are_retried_or_dismissed() {
    let mut setup = everything();
    setup.klaviyo.refuse_profiles = Choice::By(Box::new(|id: &str| {
        id.ends_with(['1', '2', '3', '4', '5', '6', '7'])
    }));
    let shop = shop(setup).await;
    shop.start("customers", "").await;
    let failed = shop.completed("customers").await["failedRecords"].clone();
    assert!(failed.as_u64() > Some(0));
    let Some(browser) = sign_in("retry", &shop).await else {
        return;
    };
    let says = do_it(&browser, "customers", "Retry failed").await;
    assert!(says.contains(&failed.to_string()), "{says}");
    browser
        .until("document.querySelector('#customers .chips').textContent.includes('by id')")
        .await;
    until_shown(&browser, "customers", "completed").await;
    do_it(&browser, "customers", "Dismiss failed").await;
    let retry = button(&browser, "customers", "Retry failed").await;
    browser
        .until(&format!("document.querySelector('{retry}').disabled"))
        .await;
    assert_eq!(shop.status("customers").await["failedRecords"], 0);
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_is_asked_twice_and_its_word_typed() {
    let shop = shop(everything()).await;
    for resource in ["categories", "products"] {
        shop.start(resource, "").await;
        shop.completed(resource).await;
    }
    let Some(browser) = sign_in("deletion", &shop).await else {
        return;
    };
    let delete = button(&browser, "products", "Delete all").await;
    browser.click(&delete).await;
    let says = browser.text("#ask-says").await;
    assert!(says.contains("ALL products"), "{says}");
    browser.click("#ask-yes").await;
    browser
        .until("document.getElementById('ask-title').textContent.startsWith('Really')")
        .await;
    let is_disabled = "document.getElementById('ask-yes').disabled";
    assert_eq!(browser.eval(is_disabled).await, true);
    browser.shoot("word").await;
    browser.assert_accessible("word").await;
    browser.click("#ask-word").await;
    browser.type_keys("product").await;
    assert_eq!(browser.eval(is_disabled).await, true);
    assert_eq!(shop.status("products").await["options"]["deleteAll"], false);
    browser.type_keys("s").await;
    browser.click("#ask-yes").await;
    browser
        .until("document.querySelector('#products .chips').textContent.includes('deletes')")
        .await;
    until_shown(&browser, "products", "completed").await;
    assert_eq!(shop.status("products").await["options"]["deleteAll"], true);
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_is_confirmed_with_its_number_where_the_answer_asks_for_it() {
    let shop = shop(everything()).await;
    shop.start("products", "").await;
    shop.completed("products").await;
    let Some(browser) = sign_in("removal", &shop).await else {
        return;
    };
    let shown = "[...document.querySelectorAll('#products .actions button')].some((button) => !button.hidden && button.textContent.startsWith('Remove'))";
    assert_eq!(browser.eval(shown).await, false);
    // the answers of an app that asks for it
    let stub = "
        const real = window.fetch;
        window.asked = [];
        window.code = undefined;
        window.fetch = async (url, options) => {
          if (options.method === 'POST') { window.asked.push([url, options.body]); return new Response('{}', {status: 202}); }
          const answer = await real(url, options);
          const body = await answer.json();
          const run = body.products ?? body;
          if (run.resource === 'products') {
            const lastError = {code: window.code, message: '', advice: '', at: '2026-01-01T00:00:00Z', willRetry: false};
            Object.assign(run, {status: 'failed', updatedAt: lastError.at, lastError, removal: {kind: 'variants', count: 1200, of: 5000}});
          }
          return new Response(JSON.stringify(body), answer);
        };";
    browser.run(stub, Vec::new()).await;
    // a run that has failed for something else, and had counted some by then
    until_shown(&browser, "products", "failed").await;
    let resume = button(&browser, "products", "Resume").await;
    let is_disabled = format!("document.querySelector('{resume}').disabled");
    assert_eq!(browser.eval(&is_disabled).await, false);
    assert_eq!(browser.eval(shown).await, false);
    let code = "window.code = 'removal_unconfirmed'";
    browser.run(code, Vec::new()).await;
    browser.until(shown).await;
    browser.shoot("asked").await;
    assert_eq!(browser.eval(&is_disabled).await, true);
    let says = do_it(&browser, "products", "Remove 1,200 variants").await;
    assert!(says.contains("removes 1,200 of 5,000 variants"), "{says}");
    browser.until("window.asked.length === 1").await;
    assert_eq!(
        browser.eval("window.asked[0]").await,
        json!(["/sync/products", r#"{"resume":true,"confirmRemoval":1200}"#])
    );
    browser.close().await;
}
