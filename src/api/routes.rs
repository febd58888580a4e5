//! Routes: the meaning of each path, and the methods that it allows.

use super::cron_task::CronTask;
use crate::run::state::Resource;

/// The meaning of a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route {
    Home,
    Page,
    All,
    Status,
    ContinueAll,
    StopAll,
    Check,
    Ping,
    Description,
    Cron(CronTask),
    Run(Resource),
    Continue(Resource),
    Stop(Resource),
}

/// The route of this path; `None` if there is none.
pub(super) fn route(path: &str) -> Option<Route> {
    if path == "/" {
        return Some(Route::Home);
    }
    let mut parts = path
        .trim_end_matches('/')
        .trim_start_matches('/')
        .split('/');
    if parts.next() != Some("sync") {
        return None;
    }
    let parts: Vec<&str> = parts.collect();
    match parts[..] {
        [] => Some(Route::All),
        ["page"] => Some(Route::Page),
        ["status"] => Some(Route::Status),
        ["continue"] => Some(Route::ContinueAll),
        ["stop"] => Some(Route::StopAll),
        ["check"] => Some(Route::Check),
        ["check", "ping"] => Some(Route::Ping),
        ["openapi.json"] => Some(Route::Description),
        ["cron", _, ref task @ ..] => CronTask::named(task).map(Route::Cron),
        [resource] => Resource::named(resource).map(Route::Run),
        [resource, "continue"] => Resource::named(resource).map(Route::Continue),
        [resource, "stop"] => Resource::named(resource).map(Route::Stop),
        _ => None,
    }
}

impl Route {
    /// The methods that it allows, in the form of the `Allow` header.
    pub(super) fn allow(&self) -> &'static str {
        match self {
            Self::Home
            | Self::Page
            | Self::Status
            | Self::Check
            | Self::Description
            | Self::Cron(_) => "GET",
            Self::All | Self::Ping | Self::Run(_) => "GET, POST",
            Self::ContinueAll | Self::StopAll | Self::Continue(_) | Self::Stop(_) => "POST",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use serde_json::Value;

    use super::*;
    use crate::api::description::DESCRIPTION;

    /// The path of a route as the description has it. Names every route, so that a new one is not forgotten.
    fn template(route: &Route) -> &'static str {
        match route {
            Route::Home => "/",
            Route::Page => "/sync/page",
            Route::All => "/sync",
            Route::Status => "/sync/status",
            Route::ContinueAll => "/sync/continue",
            Route::StopAll => "/sync/stop",
            Route::Check => "/sync/check",
            Route::Ping => "/sync/check/ping",
            Route::Description => "/sync/openapi.json",
            Route::Cron(CronTask::Continue) => "/sync/cron/{token}/continue",
            Route::Cron(CronTask::Changes) => "/sync/cron/{token}/changes",
            Route::Cron(CronTask::ChangesOf(_)) => "/sync/cron/{token}/changes/{resource}",
            Route::Cron(CronTask::PruneOf(_)) => "/sync/cron/{token}/prune/{resource}",
            Route::Run(_) => "/sync/{resource}",
            Route::Continue(_) => "/sync/{resource}/continue",
            Route::Stop(_) => "/sync/{resource}/stop",
        }
    }

    #[test]
    fn the_description_has_every_route_with_its_methods_and_no_other() {
        let description: Value = serde_json::from_str(DESCRIPTION).unwrap();
        let described: BTreeMap<String, BTreeSet<String>> = description["paths"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(path, operations)| {
                let methods = operations
                    .as_object()
                    .unwrap()
                    .keys()
                    .filter(|key| *key != "parameters");
                (
                    path.clone(),
                    methods.map(|method| method.to_ascii_uppercase()).collect(),
                )
            })
            .collect();
        let mut answered = BTreeMap::new();
        for route in [
            Route::Home,
            Route::Page,
            Route::All,
            Route::Status,
            Route::ContinueAll,
            Route::StopAll,
            Route::Check,
            Route::Ping,
            Route::Description,
            Route::Cron(CronTask::Continue),
            Route::Cron(CronTask::Changes),
            Route::Cron(CronTask::ChangesOf(Resource::Orders)),
            Route::Cron(CronTask::PruneOf(Resource::Orders)),
            Route::Run(Resource::Orders),
            Route::Continue(Resource::Orders),
            Route::Stop(Resource::Orders),
        ] {
            let path = template(&route);
            assert_eq!(
                super::route(&path.replace("{resource}", "orders")),
                Some(route),
                "{path}"
            );
            assert!(described.contains_key(path), "{path} is not described");
        }
        for path in described.keys() {
            let route = route(&path.replace("{resource}", "orders"))
                .unwrap_or_else(|| panic!("{path} has no route"));
            answered.insert(
                template(&route).to_owned(),
                route.allow().split(", ").map(str::to_owned).collect(),
            );
        }
        assert_eq!(described, answered);
    }
}
