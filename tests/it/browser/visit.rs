//! An operator at the page.

use native::TOKEN;
use serde_json::Value;

use super::driver::Browser;
use crate::support::component::Shop;

/// Opens the page without signing in; none where there is no browser.
pub(crate) async fn open(name: &'static str, shop: &Shop) -> Option<Browser> {
    let browser = Browser::open(name).await?;
    let page = format!("http://{}/sync/page", shop.host().address());
    browser.client.goto(&page).await.expect("the page loads");
    browser
        .until("document.activeElement === document.getElementById('token')")
        .await;
    Some(browser)
}

/// Opens the page and signs in.
pub(crate) async fn sign_in(name: &'static str, shop: &Shop) -> Option<Browser> {
    let browser = open(name, shop).await?;
    enter_token(&browser, TOKEN).await;
    browser
        .until("document.querySelectorAll('.run').length === 4")
        .await;
    Some(browser)
}

/// Types a token and sends it.
pub(crate) async fn enter_token(browser: &Browser, token: &str) {
    browser.click("#token").await;
    browser.type_keys(token).await;
    browser.click("#login-form button").await;
}

/// Chooses one resource in the form.
pub(crate) async fn choose_only(browser: &Browser, resource: &str) {
    for other in ["customers", "orders", "categories", "products"] {
        let selector = format!("[name=resource][value={other}]");
        let is_checked = browser
            .eval(&format!("document.querySelector('{selector}').checked"))
            .await;
        if is_checked != Value::Bool(other == resource) {
            browser.click(&selector).await;
        }
    }
}

/// Waits until the card of a resource shows this status.
pub(crate) async fn until_shown(browser: &Browser, resource: &str, status: &str) {
    browser
        .until(&format!(
            "document.getElementById('{resource}').dataset.status === '{status}'"
        ))
        .await;
}

/// The CSS selector of a button of a card, by its label's beginning.
pub(crate) async fn button(browser: &Browser, resource: &str, label: &str) -> String {
    let script = "
        const buttons = [...document.querySelectorAll(`#${arguments[0]} .actions button`)];
        const found = buttons.find((button) => button.textContent.startsWith(arguments[1]));
        if (!found) throw new Error(`no button ${arguments[1]}`);
        found.id ||= `test-${arguments[0]}-${buttons.indexOf(found)}`;
        return '#' + found.id;";
    let id = browser
        .run(script, vec![resource.into(), label.into()])
        .await;
    id.as_str().expect("an id").to_owned()
}

/// Clicks a button of a card, reads what will happen, and agrees.
pub(crate) async fn do_it(browser: &Browser, resource: &str, label: &str) -> String {
    let selector = button(browser, resource, label).await;
    browser.click(&selector).await;
    let says = browser.text("#ask-says").await;
    browser.click("#ask-yes").await;
    says
}
