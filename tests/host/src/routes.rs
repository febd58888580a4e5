//! Which component serves a path.

use std::collections::BTreeMap;

use anyhow::{Result, bail};

use crate::manifest::HttpTrigger;

/// The application's route table. As in Spin, an exact route wins over a wildcard one, and of those the longest wins.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    exact: BTreeMap<String, String>,
    /// Prefixes without the trailing `/...`.
    wildcard: BTreeMap<String, String>,
}

/// A route that matched.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Match<'a> {
    /// The id of the component that serves it.
    pub(crate) component: &'a str,
    /// The route as the manifest has it.
    pub(crate) route: String,
    /// What the wildcard stands for; empty for an exact route.
    pub(crate) trailing: &'a str,
}

impl Routes {
    /// Builds the table; refuses two triggers for the same route and the forms of a route that are not known here.
    pub(crate) fn new(triggers: &[HttpTrigger]) -> Result<Self> {
        let mut routes = Self::default();
        for HttpTrigger {
            route, component, ..
        } in triggers
        {
            if !route.starts_with('/') || route.contains("/:") {
                bail!("route `{route}` must begin with `/` and hold no named segments");
            }
            let (table, key) = match route.strip_suffix("/...") {
                Some(prefix) => (&mut routes.wildcard, prefix),
                None => (&mut routes.exact, normal(route)),
            };
            if key.contains("...") {
                bail!("route `{route}` has a wildcard elsewhere than at its end");
            }
            if table.insert(key.to_owned(), component.clone()).is_some() {
                bail!("route `{route}` is there twice");
            }
        }
        Ok(routes)
    }

    /// Finds the route for `path`, which begins with `/`.
    pub(crate) fn find<'a>(&'a self, path: &'a str) -> Option<Match<'a>> {
        let normal = normal(path);
        if let Some(component) = self.exact.get(normal) {
            return Some(Match {
                component,
                route: if normal.is_empty() {
                    "/".to_owned()
                } else {
                    normal.to_owned()
                },
                trailing: "",
            });
        }
        let mut prefix = normal;
        loop {
            if let Some(component) = self.wildcard.get(prefix) {
                return Some(Match {
                    component,
                    route: format!("{prefix}/..."),
                    trailing: &path[prefix.len()..],
                });
            }
            prefix = &prefix[..prefix.rfind('/')?];
        }
    }
}

/// A path without its trailing slash, which makes no difference.
fn normal(path: &str) -> &str {
    path.strip_suffix('/').unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(list: &[&str]) -> Result<Routes> {
        let text: String = list
            .iter()
            .map(|route| format!("[[http]]\nroute = \"{route}\"\ncomponent = \"{route}\"\n"))
            .collect();
        let triggers: crate::manifest::Triggers = toml::from_str(&text)?;
        Routes::new(&triggers.http)
    }

    #[test]
    fn exact_wins_then_the_longest_wildcard() {
        let routes = routes(&[
            "/...",
            "/sync/...",
            "/sync/orders/...",
            "/sync/orders/stop",
            "/health",
        ])
        .unwrap();
        let cases = [
            ("/", "/..."),
            ("/other", "/..."),
            ("/health", "/health"),
            ("/health/", "/health"),
            ("/healthy", "/..."),
            ("/sync", "/sync/..."),
            ("/sync/customers", "/sync/..."),
            ("/sync/ordersX", "/sync/..."),
            ("/sync/orders", "/sync/orders/..."),
            ("/sync/orders/", "/sync/orders/..."),
            ("/sync/orders/a/b", "/sync/orders/..."),
            ("/sync/orders/stop", "/sync/orders/stop"),
        ];
        for (path, expected) in cases {
            let found = routes.find(path).unwrap();
            assert_eq!(found.route, expected, "{path}");
            assert_eq!(found.component, expected, "{path}");
        }
        assert_eq!(routes.find("/sync/orders/a/b").unwrap().trailing, "/a/b");
    }

    #[test]
    fn what_no_route_names_is_not_found() {
        let routes = routes(&["/sync/..."]).unwrap();
        assert_eq!(routes.find("/"), None);
        assert_eq!(routes.find("/syncs"), None);
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        for list in [&["sync"][..], &["/a/:id"], &["/a/.../b"], &["/a", "/a/"]] {
            assert!(routes(list).is_err(), "{list:?}");
        }
    }
}
