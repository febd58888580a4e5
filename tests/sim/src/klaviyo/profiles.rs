//! Profiles: bulk import and one by one.

use bytes::Bytes;
use http::{Response, StatusCode};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::answer::{Fault, Refusal, document, moment, refuse_if_any};
use super::bodies;
use super::call::{Call, page};
use super::job::{Effect, JobError};
use super::jobs::Jobs;
use super::operation::JobKind;
use super::options::{Options, SharedPhones};
use super::query::Operator;
use super::shape::Shape;
use crate::ledger::{Ledger, Nulls, Profile, Written};

const MAX_PROFILES: usize = 10_000;
const MAX_IMPORT_BODY: usize = 5_000_000;
const MAX_PROFILE: usize = 100_000;
const DEFAULT_PAGE: usize = 20;
const PROFILES: &str = "/data/attributes/profiles/data";
const PHONE_NUMBER: &str = "/attributes/phone_number";
const EMAIL: &str = "/attributes/email";

const FIELDS: [&str; 15] = [
    "created",
    "email",
    "external_id",
    "first_name",
    "id",
    "image",
    "last_name",
    "locale",
    "location",
    "organization",
    "phone_number",
    "properties",
    "title",
    "updated",
    "last_event_date",
];

/// `POST profile-bulk-import-jobs`: all that the request alone tells is checked now, each profile's
/// values when the job runs.
pub(super) fn start_import(
    call: &Call<'_>,
    options: &Options,
    jobs: &mut Jobs,
    ledger: &mut Ledger,
) -> Result<Response<Bytes>, Refusal> {
    let mut body = call.json(&bodies::PROFILE_IMPORT, MAX_IMPORT_BODY)?;
    let profiles = match body["data"]["attributes"]["profiles"]["data"].take() {
        Value::Array(profiles) => profiles,
        _ => Vec::new(),
    };
    if profiles.is_empty() || profiles.len() > MAX_PROFILES {
        let detail = format!("A job takes from 1 to {MAX_PROFILES} profiles.");
        return Err(Fault::invalid(PROFILES, detail).into());
    }
    let mut faults = Vec::new();
    for (n, profile) in profiles.iter().enumerate() {
        if profile.to_string().len() > MAX_PROFILE {
            let detail = format!("A profile may have {MAX_PROFILE} bytes at most.");
            faults.push(Fault::invalid(pointer(n), detail));
        }
        if options.refuse_imports.picks(external_id(profile)) {
            let place = match options.refuse_phone_numbers.picks(external_id(profile)) {
                true if has_phone_number(profile) => PHONE_NUMBER,
                true => continue,
                false => "",
            };
            let detail = "This profile was chosen to be refused.";
            let fault = Fault::invalid(pointer(n) + place, detail);
            faults.push(fault.pointing(options.pointers));
        }
        if options.checks_emails_at_once
            && let Err(wrong) = check(profile)
            && wrong.place == EMAIL
        {
            let fault = Fault::invalid(pointer(n) + EMAIL, wrong.detail);
            faults.push(fault.pointing(options.pointers));
        }
    }
    refuse_if_any(faults)?;
    let answer = jobs.start(call, JobKind::ProfileImport, profiles, options.job_times)?;
    ledger.note_write(Written::Profiles, call.now);
    Ok(answer)
}

/// Takes a job's profiles in, one by one; those that cannot be taken in become import errors.
pub(super) fn run_import(
    at: Timestamp,
    profiles: Vec<Value>,
    options: &Options,
    ledger: &mut Ledger,
) -> Effect {
    let mut errors = Vec::new();
    for (index, profile) in profiles.into_iter().enumerate() {
        if let Err(wrong) = import(at, &profile, options, ledger) {
            errors.push(JobError {
                code: wrong.code,
                title: "Invalid input.",
                detail: wrong.detail,
                list: PROFILES.to_owned(),
                index,
                place: wrong.place,
                entry: None,
                form: options.entry_errors,
                original_payload: Some(profile),
            });
        }
    }
    Effect {
        made: Vec::new(),
        errors,
    }
}

/// What is wrong with one profile.
struct Wrong {
    /// Pointer within the profile's data object.
    place: &'static str,
    detail: String,
    code: &'static str,
}

impl Wrong {
    fn at(place: &'static str, detail: impl Into<String>) -> Self {
        Self {
            place,
            detail: detail.into(),
            code: "invalid",
        }
    }
}

fn import(
    at: Timestamp,
    profile: &Value,
    options: &Options,
    ledger: &mut Ledger,
) -> Result<(), Wrong> {
    let attributes = check(profile)?;
    if options.refuse_profiles.picks(external_id(profile)) {
        return Err(Wrong::at("", "This profile was chosen to be refused."));
    }
    if options.refuse_phone_numbers.picks(external_id(profile)) && has_phone_number(profile) {
        return Err(Wrong::at(
            PHONE_NUMBER,
            "This number was chosen to be refused.",
        ));
    }
    let id = match profile["id"].as_str() {
        Some(id) => {
            if !ledger.profiles.update(at, id, attributes, Nulls::Ignored) {
                return Err(Wrong::at("/id", format!("There is no profile {id}.")));
            }
            id.to_owned()
        }
        None => match shares_phone(attributes, ledger) {
            true if options.shared_phones == SharedPhones::Refuses => {
                return Err(Wrong {
                    code: "duplicate_profile",
                    ..Wrong::at("", "A profile with one of these identifiers exists.")
                });
            }
            true if options.shared_phones == SharedPhones::TakesBoth => {
                ledger.profiles.add_sharing(at, attributes, Nulls::Ignored)
            }
            _ => ledger.profiles.upsert(at, attributes, Nulls::Ignored).0,
        },
    };
    // one name or a list of names
    let unset = match profile.pointer("/meta/patch_properties/unset") {
        Some(Value::Array(names)) => names.as_slice(),
        Some(name) => std::slice::from_ref(name),
        None => &[],
    };
    let names = unset.iter().filter_map(Value::as_str);
    ledger.profiles.unset(&id, names);
    Ok(())
}

/// Whether another profile has this one's phone number.
fn shares_phone(attributes: &Map<String, Value>, ledger: &Ledger) -> bool {
    let phone = attributes.get("phone_number").and_then(Value::as_str);
    let owner = phone.and_then(|phone| ledger.profiles.by_phone_number(phone));
    owner.is_some_and(|owner| {
        let external_id = attributes.get("external_id").and_then(Value::as_str);
        owner.text("external_id") != external_id
    })
}

/// Checks identifiers, email address and phone number, and answers the attributes.
fn check(profile: &Value) -> Result<&Map<String, Value>, Wrong> {
    let Some(attributes) = profile["attributes"].as_object() else {
        return Err(Wrong::at("/attributes", "A profile needs attributes."));
    };
    let text = |name: &str| attributes.get(name).and_then(Value::as_str);
    let identifiers = ["email", "phone_number", "external_id", "_kx"];
    let identified = identifiers
        .iter()
        .any(|name| text(name).is_some_and(|text| !text.is_empty()));
    if !identified && !profile["id"].is_string() {
        let detail = "A profile needs an id, email, phone_number, external_id or _kx.";
        return Err(Wrong::at("/attributes", detail));
    }
    if let Some(email) = text("email")
        && !is_email(email)
    {
        return Err(Wrong::at(EMAIL, "Invalid email address."));
    }
    if let Some(phone) = text("phone_number")
        && !is_e164(phone)
    {
        let detail = "Invalid phone number: it has to be in E.164 format.";
        return Err(Wrong::at(PHONE_NUMBER, detail));
    }
    Ok(attributes)
}

/// Whether a text has the form of an email address: strict enough for what shops hold.
pub(super) fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else {
        return false;
    };
    let label =
        |label: &str| !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || c == '-');
    let atom = |atom: &str| {
        !atom.is_empty()
            && !atom.contains(|c: char| {
                c.is_whitespace() || c.is_control() || "@,;:<>()[]\\\"".contains(c)
            })
    };
    text.len() <= 254
        && local.split('.').all(atom)
        && domain.contains('.')
        && domain.split('.').all(label)
}

/// `+`, then 8 to 15 digits of which the first is not 0.
pub(super) fn is_e164(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (8..=15).contains(&digits.len())
            && !digits.starts_with('0')
            && digits.bytes().all(|digit| digit.is_ascii_digit())
    })
}

/// `POST profile-import`: creates or updates one profile.
pub(super) fn import_one(call: &Call<'_>, ledger: &mut Ledger) -> Result<Response<Bytes>, Refusal> {
    let (profile, attributes) = one_profile(call, &bodies::ONE_PROFILE)?;
    let known = match profile["id"].as_str() {
        Some(id) if ledger.profiles.get(id).is_some() => Some(id.to_owned()),
        Some(id) => return Err(Refusal::not_found(format!("There is no profile {id}."))),
        None => None,
    };
    let (id, created) = match known {
        Some(id) => {
            ledger
                .profiles
                .update(call.now, &id, &attributes, Nulls::Clear);
            (id, false)
        }
        None => ledger.profiles.upsert(call.now, &attributes, Nulls::Clear),
    };
    ledger.note_write(Written::Profiles, call.now);
    let status = if created {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    profile_document(call, ledger, &id, status)
}

/// `POST profiles`: creates one profile, or answers 409 with the id of the one there is.
pub(super) fn create(call: &Call<'_>, ledger: &mut Ledger) -> Result<Response<Bytes>, Refusal> {
    let (_, attributes) = one_profile(call, &bodies::ONE_PROFILE)?;
    if let Some(existing) = ledger.profiles.identified_by(&attributes) {
        return Err(Refusal::duplicate_profile(&existing.id));
    }
    let (id, _) = ledger.profiles.upsert(call.now, &attributes, Nulls::Clear);
    ledger.note_write(Written::Profiles, call.now);
    profile_document(call, ledger, &id, StatusCode::CREATED)
}

/// `PATCH profiles/{id}`
pub(super) fn update(call: &Call<'_>, ledger: &mut Ledger) -> Result<Response<Bytes>, Refusal> {
    let (profile, attributes) = one_profile(call, &bodies::PROFILE_PATCH)?;
    if profile["id"].as_str() != Some(call.id) {
        return Err(Fault::invalid("/data/id", "The id is not the one in the path.").into());
    }
    if !ledger
        .profiles
        .update(call.now, call.id, &attributes, Nulls::Clear)
    {
        return Err(Refusal::not_found(format!(
            "There is no profile {}.",
            call.id
        )));
    }
    ledger.note_write(Written::Profiles, call.now);
    profile_document(call, ledger, call.id, StatusCode::OK)
}

/// The profile of a request that carries one, checked.
fn one_profile(
    call: &Call<'_>,
    shape: &'static Shape,
) -> Result<(Value, Map<String, Value>), Refusal> {
    call.query.allow(&["fields[profile]"])?;
    let mut body = call.json(shape, MAX_PROFILE)?;
    let profile = body["data"].take();
    let attributes = check(&profile)
        .map_err(|wrong| Fault::invalid(format!("/data{}", wrong.place), wrong.detail))?
        .clone();
    Ok((profile, attributes))
}

/// `GET profiles`
pub(super) fn list(call: &Call<'_>, ledger: &Ledger) -> Result<Response<Bytes>, Refusal> {
    const IDENTIFIED: &[Operator] = &[Operator::Any, Operator::Equals];
    call.query
        .allow(&["fields[profile]", "filter", "page[cursor]", "page[size]"])?;
    let filters = call.query.filters(&[
        ("id", IDENTIFIED),
        ("email", IDENTIFIED),
        ("external_id", IDENTIFIED),
        ("phone_number", IDENTIFIED),
    ])?;
    let cursor = call.query.cursor()?;
    let rest = ledger
        .profiles
        .iter()
        .filter(|profile| cursor.as_ref().is_none_or(|cursor| profile.id > *cursor))
        .filter(|profile| {
            filters.iter().all(|filter| match filter.field.as_str() {
                "id" => filter.passes(&profile.id),
                // emails are the same in any case
                "email" => profile
                    .text("email")
                    .is_some_and(|email| filter.passes_in_any_case(email)),
                name => profile.text(name).is_some_and(|text| filter.passes(text)),
            })
        });
    let (profiles, next) = page(
        rest.map(|profile| (profile.id.clone(), profile)),
        call.query.page_size(DEFAULT_PAGE)?,
    );
    let data: Vec<Value> = profiles
        .into_iter()
        .map(|(_, profile)| resource(call, profile))
        .collect::<Result<_, _>>()?;
    let body = json!({ "data": data, "links": call.page_links(next.as_deref()) });
    Ok(document(StatusCode::OK, &body))
}

fn profile_document(
    call: &Call<'_>,
    ledger: &Ledger,
    id: &str,
    status: StatusCode,
) -> Result<Response<Bytes>, Refusal> {
    let profile = ledger
        .profiles
        .get(id)
        .ok_or_else(|| Refusal::not_found(format!("There is no profile {id}.")))?;
    let data = resource(call, profile)?;
    let links = data["links"].clone();
    Ok(document(status, &json!({ "data": data, "links": links })))
}

fn resource(call: &Call<'_>, profile: &Profile) -> Result<Value, Refusal> {
    let mut attributes = profile.attributes.clone();
    attributes.insert("created".to_owned(), moment(profile.created).into());
    attributes.insert("updated".to_owned(), moment(profile.updated).into());
    call.query.sparse("profile", &FIELDS, &mut attributes)?;
    Ok(call.resource("profile", "profiles", &profile.id, attributes))
}

fn pointer(n: usize) -> String {
    format!("{PROFILES}/{n}")
}

fn has_phone_number(profile: &Value) -> bool {
    profile["attributes"]["phone_number"].is_string()
}

fn external_id(profile: &Value) -> &str {
    profile["attributes"]["external_id"]
        .as_str()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phone_numbers_are_e164() {
        for good in ["+491701234567", "+4512345678"] {
            assert!(is_e164(good), "{good}");
        }
        for bad in [
            "491701234567",
            "+0491701234567",
            "+49 170 1234567",
            "+1234567",
            "+1234567890123456",
            "",
        ] {
            assert!(!is_e164(bad), "{bad}");
        }
    }

    #[test]
    fn email_addresses_have_a_form() {
        for good in ["a@b.org", "first.last+tag@sub.example.com", "ü@bücher.de"] {
            assert!(is_email(good), "{good}");
        }
        for bad in [
            "",
            "a",
            "a@b",
            "a@@b.org",
            "a b@c.org",
            ".a@b.org",
            "a@.org",
            "a@b..org",
            "a@b.org,c@d.org",
        ] {
            assert!(!is_email(bad), "{bad}");
        }
    }
}
