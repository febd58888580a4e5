//! Maps a customer to a profile.

use std::borrow::Cow;

use foldhash::fast::RandomState;
use indexmap::IndexSet;
use serde_json::value::RawValue;

use super::email::Email;
use super::properties::{self, Properties};
use super::{Skip, phone};
use crate::config::{MappingOptions, PhoneNumbers};
use crate::json::{self, Object, ObjectWriter, Part, Text};

/// The members of a customer that the mapping reads.
const MEMBERS: [&str; 10] = [
    "id",
    "email",
    "firstName",
    "lastName",
    "title",
    "companyName",
    "addresses",
    "defaultBillingAddressId",
    "billingAddressIds",
    "custom",
];

/// A profile that has been written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The customer's id.
    pub id: String,
    /// Whether the customer has a phone number that was left out, because Klaviyo would reject it.
    pub phone_left_out: bool,
    /// Whether the customer has an email that was left out, because it is longer than Klaviyo accepts.
    pub email_left_out: bool,
}

/// Appends the profile of a customer to `out`: `{"type":"profile","attributes":{...}}`, an entry of a
/// `profile-bulk-import-job`. Custom fields that are gone (see [`PropertyRules`](crate::config::sync::PropertyRules)) are
/// taken out of the profile by `"meta":{"patch_properties":{"unset":[...]}}`. With a `profile_id`, which is Klaviyo's, it is
/// imported into that profile.
///
/// # Errors
/// [`Skip::Malformed`] if the record is not an object or has no id; then nothing is appended.
///
/// # Examples
/// ```
/// use klaviyo_bulk_import::config::MappingOptions;
/// use klaviyo_bulk_import::mapping::customer;
/// use serde_json::value::RawValue;
/// use serde_json::{Value, json};
///
/// let customer = r#"{
///     "id": "5c7b9a4e-0000-4000-8000-000000000000",
///     "email": "jane@example.com",
///     "firstName": "Jane",
///     "addresses": [{"city": "Ulm", "country": "DE", "mobile": "+49 (170) 123-4567"}]
/// }"#;
/// let customer: &RawValue = serde_json::from_str(customer)?;
/// let mut out = Vec::new();
/// let profile = customer::profile(customer, &MappingOptions::default(), None, &mut out)?;
/// assert_eq!(profile.id, "5c7b9a4e-0000-4000-8000-000000000000");
/// assert!(!profile.phone_left_out);
/// let document: Value = serde_json::from_slice(&out)?;
/// assert_eq!(
///     document,
///     json!({"type": "profile", "attributes": {
///         "email": "jane@example.com",
///         "external_id": "5c7b9a4e-0000-4000-8000-000000000000",
///         "first_name": "Jane",
///         "phone_number": "+491701234567",
///         "location": {"address1": "", "address2": "", "city": "Ulm", "country": "DE"},
///     }})
/// );
///
/// let no_id: &RawValue = serde_json::from_str(r#"{"email": "jane@example.com"}"#)?;
/// let skip = customer::profile(no_id, &MappingOptions::default(), None, &mut out).unwrap_err();
/// assert_eq!(skip.code(), "malformed");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn profile<'a>(
    customer: impl Into<Part<'a>>,
    options: &MappingOptions,
    profile_id: Option<&str>,
    out: &mut Vec<u8>,
) -> Result<Profile, Skip> {
    let [
        id,
        email,
        first_name,
        last_name,
        title,
        company,
        addresses,
        default_billing,
        billing,
        custom,
    ] = customer.into().pick(MEMBERS).ok_or(Skip::Malformed {
        missing: "a customer",
    })?;
    let external_id = id.and_then(Part::filled_text);
    let id = id
        .and_then(Part::id)
        .ok_or(Skip::Malformed { missing: "id" })?
        .into_owned();
    let email = Email::read(email);
    let address = Address::choose(addresses, default_billing, billing);
    let number = match options.phone_numbers {
        PhoneNumbers::Send => address.as_ref().and_then(Address::phone),
        PhoneNumbers::Omit => None,
    };
    let country = address.as_ref().and_then(|address| address.part("country"));
    let phone = number.and_then(|number| {
        let country = country.map(Text::decoded);
        phone::e164(&number.decoded(), country.as_deref())
    });

    out.extend_from_slice(br#"{"type":"profile","#);
    if let Some(profile_id) = profile_id {
        let member = format!(r#""id":"{}","#, json::escape(profile_id));
        out.extend_from_slice(member.as_bytes());
    }
    out.extend_from_slice(br#""attributes":"#);
    let mut attributes = ObjectWriter::open(out);
    if let Some(email) = email.sent() {
        attributes.string("email", email);
    }
    attributes.text("external_id", external_id);
    attributes.text("first_name", first_name.and_then(Part::text));
    attributes.text("last_name", last_name.and_then(Part::text));
    attributes.text("title", title.and_then(Part::text));
    attributes.text("organization", company.and_then(Part::text));
    if let Some(phone) = &phone {
        attributes.string("phone_number", phone);
    }
    if let Some(address) = &address {
        address.write_location(attributes.key("location"));
    }
    let rules = &options.sync.customer.custom_fields;
    let fields = custom.and_then(properties::custom_fields);
    let mut properties = Properties::default();
    if let Some(fields) = &fields {
        properties.add_allowed(fields, rules);
    }
    if properties.len() > 0 {
        properties.write(attributes.key("properties"));
    }
    attributes.close();
    write_unset(&properties.gone(fields.as_ref(), rules), out);
    out.push(b'}');
    Ok(Profile {
        id,
        phone_left_out: number.is_some() && phone.is_none(),
        email_left_out: email == Email::TooLong,
    })
}

/// Appends the `meta` that takes properties out of the profile, unless there are none: Klaviyo ignores nulls in a bulk
/// import, and keeps what is left out.
fn write_unset(names: &IndexSet<Cow<'_, str>, RandomState>, out: &mut Vec<u8>) {
    for (index, name) in names.iter().enumerate() {
        out.extend_from_slice(match index {
            0 => br#","meta":{"patch_properties":{"unset":[""#.as_slice(),
            _ => br#"",""#,
        });
        out.extend_from_slice(name.as_bytes());
    }
    if !names.is_empty() {
        out.extend_from_slice(br#""]}}"#);
    }
}

/// The email of a customer, without blanks around it; `None` if it has none that is sent.
#[must_use]
pub fn email<'a>(customer: impl Into<Part<'a>>) -> Option<String> {
    let [email] = customer.into().pick(["email"])?;
    let email = email?.filled_text()?.decoded();
    Some(email.trim())
        .filter(|email| !email.is_empty())
        .map(str::to_owned)
}

/// [`email`] in the form by which emails are compared: without case.
#[must_use]
pub fn email_key<'a>(customer: impl Into<Part<'a>>) -> Option<String> {
    email(customer).map(|email| email.to_lowercase())
}

/// Whether a customer belongs to stores.
#[must_use]
pub fn has_stores<'a>(customer: impl Into<Part<'a>>) -> bool {
    let [stores] = customer.into().pick(["stores"]).unwrap_or_default();
    stores.is_some_and(|stores| !stores.array().is_empty())
}

/// A profile without its phone number, to be sent again after Klaviyo has rejected it for that. `document` is either as
/// [`profile`] wrote it, or an import error's `original_payload`: the profile or its attributes alone.
///
/// `None` if it has no phone number, so that no profile is sent a third time.
#[must_use]
pub fn without_phone_number(document: &[u8]) -> Option<Vec<u8>> {
    without(document, "phone_number")
}

/// The profile document without `email`, if it has one and an `external_id` that identifies it. The shapes are those of
/// [`without_phone_number`].
#[must_use]
pub fn without_email(document: &[u8]) -> Option<Vec<u8>> {
    external_id(std::str::from_utf8(document).ok()?)?;
    without(document, "email")
}

fn without(document: &[u8], member: &str) -> Option<Vec<u8>> {
    let document: &RawValue = serde_json::from_slice(document).ok()?;
    let mut attributes = attributes(document)?;
    attributes.shift_remove(member)?;
    let [id, meta] = Part::from(document).pick(["id", "meta"])?;
    let mut out = br#"{"type":"profile","#.to_vec();
    if let Some(id) = id {
        out.extend_from_slice(format!(r#""id":{},"#, id.get()).as_bytes());
    }
    out.extend_from_slice(br#""attributes":"#);
    let mut object = ObjectWriter::open(&mut out);
    for (key, value) in attributes {
        object.json(&key, value.get());
    }
    object.close();
    if let Some(meta) = meta {
        out.extend_from_slice(br#","meta":"#);
        out.extend_from_slice(meta.get().as_bytes());
    }
    out.push(b'}');
    Some(out)
}

/// The `external_id` of a profile document (see [`without_phone_number`] for its shapes): the customer's id.
#[must_use]
pub fn external_id(document: &str) -> Option<String> {
    let attributes = attributes(serde_json::from_str(document).ok()?)?;
    let id = attributes.get("external_id").copied().and_then(Part::id);
    id.map(Cow::into_owned)
}

/// The phone number and the `external_id` of a profile document (see [`without_phone_number`] for its shapes), if it has
/// both.
#[must_use]
pub fn phone_number_and_id(document: &str) -> Option<(String, String)> {
    let attributes = attributes(serde_json::from_str(document).ok()?)?;
    let text = |name: &str| Some(attributes.get(name).copied()?.id()?.into_owned());
    Some((text("phone_number")?, text("external_id")?))
}

fn attributes(document: &RawValue) -> Option<Object<'_>> {
    let document = Part::from(document);
    let [attributes] = document.pick(["attributes"])?;
    attributes.unwrap_or(document).object()
}

/// The customer's address that is sent.
struct Address<'a>(Object<'a>);

impl<'a> Address<'a> {
    /// If `defaultBillingAddressId` is set, the address with that id, or none if there is no such address. Else the
    /// address with the first of `billingAddressIds`; else the first address.
    fn choose(
        addresses: Option<Part<'a>>,
        default_billing: Option<Part<'a>>,
        billing: Option<Part<'a>>,
    ) -> Option<Self> {
        let addresses: Vec<Self> = addresses
            .map(Part::array)
            .unwrap_or_default()
            .into_iter()
            .filter_map(Part::object)
            .map(Self)
            .collect();
        let with_id = |id: Text<'a>| {
            addresses
                .iter()
                .position(|address| address.part("id") == Some(id))
        };
        let place = match default_billing.and_then(Part::filled_text) {
            Some(id) => with_id(id)?,
            None => billing
                .and_then(|ids| ids.array().first()?.text())
                .and_then(with_id)
                .unwrap_or(0),
        };
        addresses.into_iter().nth(place)
    }

    fn text(&self, key: &str) -> Option<Text<'a>> {
        self.0.get(key).copied().and_then(Part::text)
    }

    /// A member that is present and not empty.
    fn part(&self, key: &str) -> Option<Text<'a>> {
        self.text(key).filter(|text| !text.is_empty())
    }

    fn phone(&self) -> Option<Text<'a>> {
        self.part("mobile").or_else(|| self.part("phone"))
    }

    fn line(&self, keys: &[&str]) -> String {
        let parts: Vec<&str> = keys
            .iter()
            .filter_map(|key| self.part(key))
            .map(Text::escaped)
            .collect();
        parts.join(", ")
    }

    fn write_location(&self, out: &mut Vec<u8>) {
        let mut location = ObjectWriter::open(out);
        location.string(
            "address1",
            &self.line(&["apartment", "building", "streetNumber", "streetName"]),
        );
        location.string(
            "address2",
            &self.line(&["additionalStreetInfo", "additionalAddressInfo"]),
        );
        location.text("city", self.text("city"));
        location.text("country", self.text("country"));
        location.text("region", self.text("region"));
        location.text("zip", self.text("postalCode"));
        location.close();
    }
}
