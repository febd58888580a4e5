//! One category, created at once.

use bytes::Bytes;
use http::{Response, StatusCode};

use super::answer::{Fault, Refusal, document};
use super::bodies;
use super::call::Call;
use super::catalog::run_entry;
use super::listing;
use super::operation::{Action, Kind};
use super::options::{Existing, Options};
use crate::ledger::{Ledger, Written};

const MAX_BODY: usize = 5_000_000;

/// `POST catalog-categories`. How a category that is there already is answered was never recorded: as the creation of a
/// profile is, with 409, or as something invalid, with 400.
pub(super) fn create(
    call: &Call<'_>,
    options: &Options,
    ledger: &mut Ledger,
) -> Result<Response<Bytes>, Refusal> {
    call.query.allow(&["fields[catalog-category]"])?;
    let body = call.json(&bodies::ONE_CATEGORY, MAX_BODY)?;
    let entry = body["data"].clone();
    let id = entry["attributes"]["external_id"].as_str();
    let id = id.unwrap_or_default().to_owned();
    let kind = Kind::Category;
    let exists = ledger.catalog.entries(kind).contains_key(&id);
    run_entry(call.now, kind, Action::Create, entry, options, ledger).map_err(|wrong| {
        let fault = Fault::invalid(format!("/data{}", wrong.place), wrong.detail);
        if !exists {
            return Refusal::from(fault);
        }
        let refusal = Refusal::from(fault.pointing(options.pointers));
        match options.existing {
            Existing::BadRequest => refusal,
            _ => refusal.with_status(StatusCode::CONFLICT),
        }
    })?;
    ledger.note_write(Written::Catalog(kind), call.now);
    let made = &ledger.catalog.entries(kind)[&id];
    let resource = listing::resource(call, kind, &id, made)?;
    let body = serde_json::json!({ "data": resource, "links": { "self": call.same_link() } });
    Ok(document(StatusCode::CREATED, &body))
}
