//! Profiles, found by id, external id, email or phone number.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde_json::{Map, Value};

/// What a null in a profile's attributes does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nulls {
    /// Nothing (bulk import).
    Ignored,
    /// It clears the field (everywhere else).
    Clear,
}

/// One profile.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// Klaviyo's own id.
    pub id: String,
    /// The attributes, as all writes together made them.
    pub attributes: Map<String, Value>,
    /// When it was first written.
    pub created: Timestamp,
    /// When it was last written.
    pub updated: Timestamp,
    /// How often it was written.
    pub writes: u32,
}

impl Profile {
    /// An attribute's text, such as `email`.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).and_then(Value::as_str)
    }
}

/// The attributes that identify a profile, in the order in which they are looked up.
const IDENTIFIERS: [&str; 3] = ["external_id", "email", "phone_number"];

/// All profiles of the account.
#[derive(Debug, Default)]
pub struct Profiles {
    by_id: BTreeMap<String, Profile>,
    /// Identifier's name and value to the id.
    index: HashMap<(&'static str, String), String>,
}

impl Profiles {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// All of them, in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &Profile> {
        self.by_id.values()
    }

    /// The profile with this id of Klaviyo's.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Profile> {
        self.by_id.get(id)
    }

    /// The profile with this `external_id`.
    #[must_use]
    pub fn by_external_id(&self, external_id: &str) -> Option<&Profile> {
        self.lookup("external_id", external_id)
    }

    /// The profile with this email address, in any case.
    #[must_use]
    pub fn by_email(&self, email: &str) -> Option<&Profile> {
        self.lookup("email", email)
    }

    /// The profile with this phone number.
    #[must_use]
    pub fn by_phone_number(&self, number: &str) -> Option<&Profile> {
        self.lookup("phone_number", number)
    }

    fn lookup(&self, name: &'static str, value: &str) -> Option<&Profile> {
        self.by_id.get(self.index.get(&index_key(name, value))?)
    }

    /// The profile that these attributes identify: by external id, else email, else phone number.
    #[must_use]
    pub fn identified_by(&self, attributes: &Map<String, Value>) -> Option<&Profile> {
        IDENTIFIERS
            .into_iter()
            .find_map(|name| self.lookup(name, attributes.get(name)?.as_str()?))
    }

    /// Creates the profile that the attributes identify, or merges them into it. Answers its id and whether
    /// it is new.
    pub(crate) fn upsert(
        &mut self,
        now: Timestamp,
        attributes: &Map<String, Value>,
        nulls: Nulls,
    ) -> (String, bool) {
        if let Some(id) = self
            .identified_by(attributes)
            .map(|profile| profile.id.clone())
        {
            self.update(now, &id, attributes, nulls);
            return (id, false);
        }
        (self.create(now, attributes, nulls), true)
    }

    /// Creates a profile or merges the attributes into the one that they identify, whoever has the phone number. Answers
    /// its id.
    pub(crate) fn add_sharing(
        &mut self,
        now: Timestamp,
        attributes: &Map<String, Value>,
        nulls: Nulls,
    ) -> String {
        let mut identifiers = attributes.clone();
        identifiers.shift_remove("phone_number");
        let known = self.identified_by(&identifiers);
        match known.map(|profile| profile.id.clone()) {
            Some(id) => {
                self.update(now, &id, attributes, nulls);
                id
            }
            None => self.create(now, attributes, nulls),
        }
    }

    fn create(&mut self, now: Timestamp, attributes: &Map<String, Value>, nulls: Nulls) -> String {
        let id = format!("01SIMPROFILE{:014}", self.by_id.len() + 1);
        let profile = Profile {
            id: id.clone(),
            attributes: Map::new(),
            created: now,
            updated: now,
            writes: 0,
        };
        self.by_id.insert(id.clone(), profile);
        self.update(now, &id, attributes, nulls);
        id
    }

    /// Takes properties out of a profile.
    pub(crate) fn unset<'a>(&mut self, id: &str, names: impl IntoIterator<Item = &'a str>) {
        let profile = self.by_id.get_mut(id);
        let properties = profile.and_then(|profile| profile.attributes.get_mut("properties"));
        let Some(properties) = properties.and_then(Value::as_object_mut) else {
            return;
        };
        for name in names {
            properties.shift_remove(name);
        }
    }

    /// Merges attributes into a profile. Answers whether there is such a profile.
    pub(crate) fn update(
        &mut self,
        now: Timestamp,
        id: &str,
        attributes: &Map<String, Value>,
        nulls: Nulls,
    ) -> bool {
        let Some(profile) = self.by_id.get_mut(id) else {
            return false;
        };
        for name in IDENTIFIERS {
            if let Some(old) = profile.text(name)
                && attributes
                    .get(name)
                    .is_some_and(|new| new.as_str() != Some(old))
            {
                self.index.remove(&index_key(name, old));
            }
        }
        merge(&mut profile.attributes, attributes, nulls);
        profile.updated = now;
        profile.writes += 1;
        for name in IDENTIFIERS {
            if let Some(value) = profile.text(name) {
                self.index.insert(index_key(name, value), id.to_owned());
            }
        }
        true
    }
}

/// Email addresses are the same in any case.
fn index_key(name: &'static str, value: &str) -> (&'static str, String) {
    let value = if name == "email" {
        value.to_lowercase()
    } else {
        value.to_owned()
    };
    (name, value)
}

/// `location` and `properties` are merged key by key, everything else is replaced.
fn merge(into: &mut Map<String, Value>, from: &Map<String, Value>, nulls: Nulls) {
    for (name, value) in from {
        match (into.get_mut(name), value) {
            (_, Value::Null) if nulls == Nulls::Ignored => {}
            (_, Value::Null) => {
                into.shift_remove(name);
            }
            (Some(Value::Object(old)), Value::Object(new))
                if matches!(name.as_str(), "location" | "properties") =>
            {
                merge(old, new, nulls);
            }
            _ => {
                into.insert(name.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn upsert(profiles: &mut Profiles, attributes: Value, nulls: Nulls) -> (String, bool) {
        let attributes = attributes.as_object().expect("an object").clone();
        profiles.upsert(Timestamp::UNIX_EPOCH, &attributes, nulls)
    }

    #[test]
    fn profiles_meet_by_external_id_then_email() {
        let mut profiles = Profiles::default();
        let (first, created) = upsert(
            &mut profiles,
            json!({"external_id": "a", "email": "A@x.org"}),
            Nulls::Ignored,
        );
        assert!(created);
        assert_eq!(
            upsert(
                &mut profiles,
                json!({"email": "a@X.org", "title": "Dr"}),
                Nulls::Ignored
            ),
            (first.clone(), false)
        );
        assert_eq!(
            upsert(
                &mut profiles,
                json!({"external_id": "a", "email": "b@x.org"}),
                Nulls::Ignored
            ),
            (first, false)
        );
        assert!(profiles.by_email("a@x.org").is_none());
        let profile = profiles
            .by_email("b@x.org")
            .expect("found by its new address");
        assert_eq!((profile.text("title"), profile.writes), (Some("Dr"), 3));
        assert_eq!(profiles.len(), 1);
    }

    #[test]
    fn nulls_clear_or_do_nothing() {
        let mut profiles = Profiles::default();
        let attributes = json!({"external_id": "a", "title": "Dr", "properties": {"x": 1, "y": 2}});
        upsert(&mut profiles, attributes, Nulls::Ignored);
        let nulls = json!({"external_id": "a", "title": null, "properties": {"x": null, "z": 3}});
        upsert(&mut profiles, nulls.clone(), Nulls::Ignored);
        let kept =
            json!({"external_id": "a", "title": "Dr", "properties": {"x": 1, "y": 2, "z": 3}});
        let attributes = |profiles: &Profiles| {
            Value::Object(
                profiles
                    .by_external_id("a")
                    .expect("there")
                    .attributes
                    .clone(),
            )
        };
        assert_eq!(attributes(&profiles), kept);
        upsert(&mut profiles, nulls, Nulls::Clear);
        assert_eq!(
            attributes(&profiles),
            json!({"external_id": "a", "properties": {"y": 2, "z": 3}})
        );
    }
}
