//! The page of the built component: whatever state its app is in, and whoever asks.

use host::Wasi;
use http::Method;
use native::{Call, Operator, Setup};

use crate::support::component::{IntoHosted, Shop, on_each_wasi};

on_each_wasi! {
    the_page_is_served_whatever_the_variables_are,
    only_a_get_is_public,
}

async fn the_page_is_served_whatever_the_variables_are(wasi: Wasi) {
    let page = Call::get("/sync/page").without_token();
    let shop = Shop::open(Setup::customers(1).wasi(wasi)).await;
    let usable = shop.send(page.clone()).await;
    assert_eq!(usable.status, 200);
    assert_eq!(usable.headers["content-type"], "text/html; charset=utf-8");
    let invalid = Setup::customers(1)
        .variable("window_seconds", 99)
        .wasi(wasi);
    let invalid = Shop::open(invalid).await;
    assert_eq!(invalid.get("/sync/status").await.status, 500);
    let unread = Setup::customers(1).wasi(wasi).platform(|options| {
        options
            .failing_variables
            .insert("window_seconds".to_owned());
    });
    let unread = Shop::open(unread).await;
    assert_eq!(unread.get("/sync/status").await.status, 503);
    for shop in [invalid, unread] {
        let served = shop.send(page.clone()).await;
        assert_eq!((served.status, &served.body), (200, &usable.body));
        let policy = "content-security-policy";
        assert_eq!(served.headers[policy], usable.headers[policy]);
        let home = shop.send(Call::get("/").without_token()).await;
        assert_eq!(
            (home.status, &home.headers["location"]),
            (303, &http::HeaderValue::from_static("/sync/page"))
        );
    }
}

async fn only_a_get_is_public(wasi: Wasi) {
    let shop = Shop::open(Setup::customers(1).wasi(wasi)).await;
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::HEAD] {
        for path in ["/", "/sync/page"] {
            let call = Call::new(method.clone(), path);
            let stranger = shop.send(call.clone().without_token()).await;
            assert_eq!(stranger.status, 401, "{method} {path}");
            assert_eq!(shop.send(call).await.status, 405, "{method} {path}");
        }
    }
    for path in ["/sync/page/x", "/sync/page.html", "/page"] {
        let answer = shop.send(Call::get(path).without_token()).await;
        assert!([401, 404].contains(&answer.status), "{path}");
    }
    assert!(shop.world.commercetools_server().calls().is_empty());
}
