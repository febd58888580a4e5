//! Which operation of the API a method and a path name, and how often it may be called.

use std::fmt;

use http::Method;
use percent_encoding::percent_decode_str;

/// The three kinds of catalog entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// `catalog-category`
    Category,
    /// `catalog-item`
    Item,
    /// `catalog-variant`
    Variant,
}

impl Kind {
    const ALL: [Kind; 3] = [Kind::Category, Kind::Item, Kind::Variant];

    /// The JSON:API resource type, such as `catalog-item`.
    #[must_use]
    pub fn resource(self) -> &'static str {
        match self {
            Kind::Category => "catalog-category",
            Kind::Item => "catalog-item",
            Kind::Variant => "catalog-variant",
        }
    }

    /// The collection's path segment, such as `catalog-items`.
    #[must_use]
    pub fn collection(self) -> &'static str {
        match self {
            Kind::Category => "catalog-categories",
            Kind::Item => "catalog-items",
            Kind::Variant => "catalog-variants",
        }
    }

    /// The key that holds the entries in a bulk job's body, such as `items`.
    #[must_use]
    pub fn entries(self) -> &'static str {
        match self {
            Kind::Category => "categories",
            Kind::Item => "items",
            Kind::Variant => "variants",
        }
    }
}

/// What a bulk job does with its catalog entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// `…-bulk-create-jobs`
    Create,
    /// `…-bulk-update-jobs`
    Update,
    /// `…-bulk-delete-jobs`
    Delete,
}

impl Action {
    const ALL: [Action; 3] = [Action::Create, Action::Update, Action::Delete];

    /// The word in the job's type: `create`, `update` or `delete`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Action::Create => "create",
            Action::Update => "update",
            Action::Delete => "delete",
        }
    }
}

/// What a job works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum JobKind {
    /// `profile-bulk-import-job`
    ProfileImport,
    /// `catalog-{kind}-bulk-{action}-job`
    Catalog(Kind, Action),
}

impl JobKind {
    /// The JSON:API resource type, such as `catalog-item-bulk-create-job`.
    #[must_use]
    pub fn resource(self) -> String {
        match self {
            JobKind::ProfileImport => "profile-bulk-import-job".to_owned(),
            JobKind::Catalog(kind, action) => {
                format!("{}-bulk-{}-job", kind.resource(), action.word())
            }
        }
    }

    /// The path segment, such as `catalog-item-bulk-create-jobs`.
    #[must_use]
    pub fn collection(self) -> String {
        self.resource() + "s"
    }
}

/// An operation of the simulated part of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    /// `POST /api/{job kind}s`
    StartJob(JobKind),
    /// `GET /api/{job kind}s/{id}`
    GetJob(JobKind),
    /// `GET /api/{job kind}s`
    ListJobs(JobKind),
    /// `GET /api/profile-bulk-import-jobs/{id}/import-errors`
    ListImportErrors,
    /// `POST /api/event-bulk-create-jobs`
    BulkCreateEvents,
    /// `POST /api/profile-import`
    ImportProfile,
    /// `POST /api/profiles`
    CreateProfile,
    /// `PATCH /api/profiles/{id}`
    UpdateProfile,
    /// `GET /api/profiles`
    ListProfiles,
    /// `GET /api/accounts`
    ListAccounts,
    /// `GET /api/catalog-categories`, `catalog-items` or `catalog-variants`
    ListCatalog(Kind),
    /// `GET /api/catalog-items/{id}/variants`
    ListVariantsOfItem,
    /// `POST /api/catalog-categories`
    CreateCategory,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Operation::StartJob(kind) => write!(f, "POST {}", kind.collection()),
            Operation::GetJob(kind) => write!(f, "GET {}/{{id}}", kind.collection()),
            Operation::ListJobs(kind) => write!(f, "GET {}", kind.collection()),
            Operation::ListImportErrors => {
                f.write_str("GET profile-bulk-import-jobs/{id}/import-errors")
            }
            Operation::BulkCreateEvents => f.write_str("POST event-bulk-create-jobs"),
            Operation::ImportProfile => f.write_str("POST profile-import"),
            Operation::CreateProfile => f.write_str("POST profiles"),
            Operation::UpdateProfile => f.write_str("PATCH profiles/{id}"),
            Operation::ListProfiles => f.write_str("GET profiles"),
            Operation::ListAccounts => f.write_str("GET accounts"),
            Operation::ListCatalog(kind) => write!(f, "GET {}", kind.collection()),
            Operation::ListVariantsOfItem => f.write_str("GET catalog-items/{id}/variants"),
            Operation::CreateCategory => f.write_str("POST catalog-categories"),
        }
    }
}

/// Calls allowed in a window of one second and of one minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Calls in a window of one second.
    pub burst: u32,
    /// Calls in a window of one minute.
    pub steady: u32,
}

const SMALLEST: Rate = Rate {
    burst: 1,
    steady: 15,
};
const SMALL: Rate = Rate {
    burst: 10,
    steady: 150,
};
const MEDIUM: Rate = Rate {
    burst: 75,
    steady: 750,
};
const LARGE: Rate = Rate {
    burst: 350,
    steady: 3500,
};

impl Operation {
    /// The documented limits (`x-klaviyo-ratelimit` of each operation in the contract).
    #[must_use]
    pub fn rate(self) -> Rate {
        match self {
            Operation::ListAccounts => SMALLEST,
            Operation::StartJob(JobKind::ProfileImport)
            | Operation::GetJob(JobKind::ProfileImport)
            | Operation::ListJobs(JobKind::ProfileImport)
            | Operation::ListImportErrors
            | Operation::BulkCreateEvents => SMALL,
            Operation::ImportProfile
            | Operation::CreateProfile
            | Operation::UpdateProfile
            | Operation::ListProfiles
            | Operation::CreateCategory
            | Operation::StartJob(JobKind::Catalog(..)) => MEDIUM,
            // Polling a create or an update of items or variants has the smaller limit.
            Operation::GetJob(JobKind::Catalog(
                Kind::Item | Kind::Variant,
                Action::Create | Action::Update,
            ))
            | Operation::ListJobs(JobKind::Catalog(
                Kind::Item | Kind::Variant,
                Action::Create | Action::Update,
            )) => MEDIUM,
            Operation::GetJob(JobKind::Catalog(..))
            | Operation::ListJobs(JobKind::Catalog(..))
            | Operation::ListCatalog(_)
            | Operation::ListVariantsOfItem => LARGE,
        }
    }

    /// Whether the operation takes a request body.
    pub(super) fn has_body(self) -> bool {
        matches!(
            self,
            Operation::StartJob(_)
                | Operation::BulkCreateEvents
                | Operation::ImportProfile
                | Operation::CreateProfile
                | Operation::UpdateProfile
                | Operation::CreateCategory
        )
    }
}

/// What a method and a path lead to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// An operation, with the id from the path where it has one.
    To(Operation, Option<String>),
    /// The path exists, not with this method.
    WrongMethod,
    /// No such path here.
    Unknown,
}

/// Finds the operation of a request.
pub(super) fn route(method: &Method, path: &str) -> Route {
    let Some(path) = path.strip_prefix("/api/") else {
        return Route::Unknown;
    };
    // links end with a slash
    let path = path.strip_suffix('/').unwrap_or(path);
    let segments: Vec<String> = path
        .split('/')
        .map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned())
        .collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let candidates = candidates(&segments);
    if candidates.is_empty() {
        return Route::Unknown;
    }
    let id = segments.get(1).map(|&id| id.to_owned());
    candidates
        .into_iter()
        .find(|(allowed, _)| allowed == method)
        .map_or(Route::WrongMethod, |(_, operation)| {
            Route::To(operation, id)
        })
}

/// The operations at a path, by method.
fn candidates(segments: &[&str]) -> Vec<(Method, Operation)> {
    let catalog = Kind::ALL
        .into_iter()
        .flat_map(|kind| Action::ALL.map(|action| JobKind::Catalog(kind, action)));
    match *segments {
        ["profile-bulk-import-jobs"] => vec![
            (Method::POST, Operation::StartJob(JobKind::ProfileImport)),
            (Method::GET, Operation::ListJobs(JobKind::ProfileImport)),
        ],
        ["profile-bulk-import-jobs", _] => {
            vec![(Method::GET, Operation::GetJob(JobKind::ProfileImport))]
        }
        ["profile-bulk-import-jobs", _, "import-errors"] => {
            vec![(Method::GET, Operation::ListImportErrors)]
        }
        ["event-bulk-create-jobs"] => vec![(Method::POST, Operation::BulkCreateEvents)],
        ["profile-import"] => vec![(Method::POST, Operation::ImportProfile)],
        ["profiles"] => vec![
            (Method::POST, Operation::CreateProfile),
            (Method::GET, Operation::ListProfiles),
        ],
        ["accounts"] => vec![(Method::GET, Operation::ListAccounts)],
        ["profiles", _] => vec![(Method::PATCH, Operation::UpdateProfile)],
        ["catalog-items", _, "variants"] => vec![(Method::GET, Operation::ListVariantsOfItem)],
        ["catalog-categories"] => vec![
            (Method::GET, Operation::ListCatalog(Kind::Category)),
            (Method::POST, Operation::CreateCategory),
        ],
        [collection] => {
            let list = Kind::ALL
                .into_iter()
                .filter(|kind| kind.collection() == collection)
                .map(|kind| (Method::GET, Operation::ListCatalog(kind)));
            catalog
                .filter(|job| job.collection() == collection)
                .flat_map(|job| {
                    [
                        (Method::POST, Operation::StartJob(job)),
                        (Method::GET, Operation::ListJobs(job)),
                    ]
                })
                .chain(list)
                .collect()
        }
        [collection, _] => catalog
            .filter(|job| job.collection() == collection)
            .map(|job| (Method::GET, Operation::GetJob(job)))
            .collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_operations() {
        assert_eq!(
            route(&Method::POST, "/api/catalog-variant-bulk-delete-jobs"),
            Route::To(
                Operation::StartJob(JobKind::Catalog(Kind::Variant, Action::Delete)),
                None
            )
        );
        assert_eq!(
            route(
                &Method::GET,
                "/api/catalog-items/%24custom:::%24default:::a%2Fb/variants"
            ),
            Route::To(
                Operation::ListVariantsOfItem,
                Some("$custom:::$default:::a/b".to_owned())
            )
        );
        assert_eq!(
            route(&Method::DELETE, "/api/catalog-items"),
            Route::WrongMethod
        );
        assert_eq!(route(&Method::GET, "/api/campaigns"), Route::Unknown);
        assert_eq!(route(&Method::GET, "/profiles"), Route::Unknown);
    }
}
