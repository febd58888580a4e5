//! `GET /sync/page`: a page for operators, which shows all that the API says, and sends what it takes.
//!
//! It is one file of HTML, style and script, joined here at compile time. It has no data in it, so it is public; what it
//! shows it requests from the API with the token that the operator types. Its script is written in parts:
//!
//! | part | what it is about |
//! | --- | --- |
//! | `dom.js` | elements, texts, numbers, CSV |
//! | `client.js` | calls of the API, the token |
//! | `chart.js` | records a second over the run |
//! | `run.js` | the card of a resource |
//! | `actions.js` | what an operator can do with a run, and the dialog that asks |
//! | `start.js` | the form that starts an import |
//! | `main.js` | signing in, looking again and again, plan and check |

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, LOCATION, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Response, StatusCode};
use sha2::{Digest, Sha256};

/// Where the page is.
const PATH: &str = "/sync/page";

/// The style as a literal, so that it can be joined at compile time.
macro_rules! style {
    () => {
        concat!("\n", include_str!("page.css"))
    };
}

/// The script, likewise.
macro_rules! script {
    () => {
        concat!(
            "\n",
            include_str!("dom.js"),
            include_str!("client.js"),
            include_str!("chart.js"),
            include_str!("run.js"),
            include_str!("actions.js"),
            include_str!("start.js"),
            include_str!("main.js"),
        )
    };
}

/// What is before the style. The icon is part of the page: nothing else is requested for it.
macro_rules! head {
    () => {
        concat!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n",
            "<title>Klaviyo bulk import</title>\n",
            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n",
            "<link rel=\"icon\" href=\"data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'",
            "%3E%3Crect width='16' height='16' rx='4' fill='%232457c5'/%3E%3Cpath d='M4 8h7M8 5l3 3-3 3' fill='none' ",
            "stroke='white' stroke-width='1.6'/%3E%3C/svg%3E\">\n<style>",
        )
    };
}

/// What is between the style and the script.
macro_rules! body {
    () => {
        concat!(
            "</style>\n</head>\n<body>\n",
            include_str!("page.html"),
            "<script type=\"module\">",
        )
    };
}

const PAGE: &str = concat!(
    head!(),
    style!(),
    body!(),
    script!(),
    "</script>\n</body>\n</html>\n",
);
const STYLE: Range<usize> = after(0, head!(), style!());
const SCRIPT: Range<usize> = after(STYLE.end, body!(), script!());

/// Where `part` is in the page, which has `between` from `start` on: so the component has every text once.
const fn after(start: usize, between: &str, part: &str) -> Range<usize> {
    let start = start + between.len();
    start..start + part.len()
}

/// The page.
pub(super) fn page() -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(PAGE.as_bytes()));
    protect(&mut response, &policy());
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    response
}

/// `GET /`: sends to the page.
pub(super) fn home() -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::SEE_OTHER;
    protect(&mut response, "default-src 'none'; frame-ancestors 'none'");
    response
        .headers_mut()
        .insert(LOCATION, HeaderValue::from_static(PATH));
    response
}

/// What the browser may do with it: run this script and use this style, call the app that it comes from, and nothing
/// else. No text of the API becomes markup (`require-trusted-types-for`).
fn policy() -> String {
    let hash =
        |part: Range<usize>| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(&PAGE[part])));
    format!(
        "default-src 'none'; script-src {}; style-src {}; img-src data:; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
        hash(SCRIPT),
        hash(STYLE),
    )
}

fn protect(response: &mut Response<Bytes>, policy: &str) {
    let headers = response.headers_mut();
    if let Ok(policy) = HeaderValue::try_from(policy) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    for (name, value) in [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
        (CACHE_CONTROL, "no-cache"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes that the page may add to the component.
    const MAX_BYTES: usize = 80 * 1024;

    #[test]
    fn the_page_is_small_and_names_no_other_host() {
        assert!(PAGE.len() < MAX_BYTES, "{}", PAGE.len());
        let allowed = "http://www.w3.org/2000/svg";
        for (at, _) in PAGE.match_indices("://") {
            let around = &PAGE[at - 5..];
            assert!(
                around.trim_start_matches(|c| c != 'h').starts_with(allowed),
                "{}",
                &around[..60]
            );
        }
    }

    #[test]
    fn the_script_uses_nothing_that_makes_markup_of_text() {
        for sink in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "Function(",
            "cookie",
            "localStorage",
        ] {
            assert!(!PAGE[SCRIPT].contains(sink), "{sink}");
        }
        assert!(!include_str!("page.html").contains("style="));
    }
}
