//! `sync_config`: what is imported and under which names, as JSON in the form that the Node plugin uses.
//!
//! Every part is optional. All problems are reported together, each with the path of its key.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Klaviyo: the name of a metric "must be less than 128 characters".
const METRIC_NAME_LIMIT: usize = 128;

/// The whole of `sync_config`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SyncConfig {
    /// `order`.
    pub order: OrderRules,
    /// `customer`.
    pub customer: CustomerRules,
    /// `product`.
    pub product: ProductRules,
    /// The paths of keys that are set and have no effect here: those of the Node plugin's realtime module.
    pub without_effect: Vec<String>,
}

/// `order`: which events an order becomes and what they carry.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OrderRules {
    /// `order.states.changed`.
    pub states: OrderStates,
    /// `order.metrics`.
    pub metrics: OrderMetrics,
    /// `order.properties`.
    pub properties: PropertyRules,
    /// `order.customFields.properties`.
    pub custom_fields: PropertyRules,
}

/// `order.states.changed`: the values of `orderState` that make an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderStates {
    /// `fulfilledOrder`.
    pub fulfilled: Vec<String>,
    /// `cancelledOrder`.
    pub cancelled: Vec<String>,
}

impl Default for OrderStates {
    fn default() -> Self {
        Self {
            fulfilled: vec!["Confirmed".to_owned(), "Complete".to_owned()],
            cancelled: vec!["Cancelled".to_owned()],
        }
    }
}

/// `order.metrics`: the names of the events' metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderMetrics {
    /// `placedOrder`.
    pub placed: String,
    /// `orderedProduct`.
    pub ordered_product: String,
    /// `fulfilledOrder`.
    pub fulfilled: String,
    /// `cancelledOrder`.
    pub cancelled: String,
    /// `refundedOrder`; such events are sent where the variable `refunds` asks for them.
    pub refunded: String,
}

impl Default for OrderMetrics {
    fn default() -> Self {
        Self {
            placed: "Placed Order".to_owned(),
            ordered_product: "Ordered Product".to_owned(),
            fulfilled: "Fulfilled Order".to_owned(),
            cancelled: "Cancelled Order".to_owned(),
            refunded: "Refunded Order".to_owned(),
        }
    }
}

/// `customer`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CustomerRules {
    /// `customer.customFields.properties`.
    pub custom_fields: PropertyRules,
    /// `customer.deduplication.enabled`: customers are imported into the profiles that Klaviyo has of their emails.
    pub deduplicates: bool,
}

/// `product`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProductRules {
    /// `product.inventory`.
    pub inventory: InventoryRules,
}

/// `product.inventory`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InventoryRules {
    /// `useChannelInventory`: the id of the channel whose stock is sent, if one is set.
    pub use_channel_inventory: Option<String>,
}

/// `{include, exclude, map}`: which of an object's properties are allowed and how they are named.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PropertyRules {
    /// The properties that are allowed; all if this is empty.
    pub include: Vec<String>,
    /// The properties that are not allowed, even if `include` lists them.
    pub exclude: Vec<String>,
    /// New names of properties, by their old names.
    pub map: BTreeMap<String, String>,
}

impl SyncConfig {
    /// Parses the JSON text of the variable; empty text gives the defaults.
    ///
    /// # Errors
    /// All problems, each a sentence that names the key's path.
    pub fn parse(text: &str) -> Result<Self, Vec<String>> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let value = match serde_json::from_str(text) {
            Ok(Value::Object(object)) => object,
            Ok(_) => return Err(vec!["must be a JSON object".to_owned()]),
            Err(error) => return Err(vec![format!("is not JSON: {error}")]),
        };
        let (mut problems, mut without_effect) = (Vec::new(), Vec::new());
        let mut config = Self::read(Section {
            path: String::new(),
            members: value,
            problems: &mut problems,
            without_effect: &mut without_effect,
        });
        config.without_effect = without_effect;
        problems.extend(config.order.metrics.clashes());
        if problems.is_empty() {
            Ok(config)
        } else {
            Err(problems)
        }
    }

    fn read(mut root: Section<'_>) -> Self {
        let mut config = Self::default();
        root.without_effect(&["disabledEvents", "payment", "category"]);
        root.section("order", |order| {
            order.without_effect(&["messages"]);
            order.section("states", |states| {
                states.without_effect(&["created"]);
                states.section("changed", |changed| {
                    changed.list("fulfilledOrder", &mut config.order.states.fulfilled);
                    changed.list("cancelledOrder", &mut config.order.states.cancelled);
                });
            });
            order.section("metrics", |metrics| {
                let names = &mut config.order.metrics;
                metrics.metric("placedOrder", &mut names.placed);
                metrics.metric("orderedProduct", &mut names.ordered_product);
                metrics.metric("fulfilledOrder", &mut names.fulfilled);
                metrics.metric("cancelledOrder", &mut names.cancelled);
                metrics.metric("refundedOrder", &mut names.refunded);
            });
            order.properties(&mut config.order.properties);
            order.section("customFields", |fields| {
                fields.properties(&mut config.order.custom_fields);
            });
        });
        root.section("customer", |customer| {
            customer.without_effect(&["messages"]);
            customer.section("customFields", |fields| {
                fields.properties(&mut config.customer.custom_fields);
            });
            customer.section("deduplication", |deduplication| {
                config.customer.deduplicates = deduplication.flag("enabled");
            });
        });
        root.section("product", |product| {
            product.without_effect(&["messages"]);
            product.section("inventory", |inventory| {
                let channel = inventory
                    .text("useChannelInventory")
                    .filter(|channel| !channel.is_empty());
                config.product.inventory.use_channel_inventory = channel;
            });
        });
        root.close();
        config
    }
}

impl OrderMetrics {
    /// All events of a whole order have the order's id as their `unique_id`: under the same metric, Klaviyo would count
    /// them as one event.
    fn clashes(&self) -> Vec<String> {
        let names = [
            ("placedOrder", &self.placed),
            ("fulfilledOrder", &self.fulfilled),
            ("cancelledOrder", &self.cancelled),
            ("refundedOrder", &self.refunded),
        ];
        let pairs = names.iter().enumerate().flat_map(|(index, one)| {
            let others = &names[index + 1..];
            others.iter().map(move |other| (one, other))
        });
        pairs
            .filter(|(one, other)| one.1 == other.1)
            .map(|((one, _), (other, _))| {
                format!(
                    "order.metrics.{one} and order.metrics.{other} must differ: Klaviyo would count the two events as one"
                )
            })
            .collect()
    }
}

/// One object of the configuration. Members are removed as they are read; those that remain are unknown.
struct Section<'p> {
    path: String,
    members: Map<String, Value>,
    problems: &'p mut Vec<String>,
    without_effect: &'p mut Vec<String>,
}

impl Section<'_> {
    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    fn problem(&mut self, key: &str, expected: &str) {
        let path = self.path_of(key);
        self.problems.push(format!("{path} {expected}"));
    }

    /// Reads the section under `key`, if there is one.
    fn section(&mut self, key: &str, read: impl FnOnce(&mut Section<'_>)) {
        match self.members.remove(key) {
            None => {}
            Some(Value::Object(members)) => {
                let mut section = Section {
                    path: self.path_of(key),
                    members,
                    problems: self.problems,
                    without_effect: self.without_effect,
                };
                read(&mut section);
                section.close();
            }
            Some(_) => self.problem(key, "must be an object"),
        }
    }

    fn close(&mut self) {
        for key in std::mem::take(&mut self.members).keys() {
            self.problem(key, "is not a known key");
        }
    }

    /// Removes keys that the Node plugin's realtime module reads, whatever their values.
    fn without_effect(&mut self, keys: &[&str]) {
        for key in keys {
            if self.members.remove(*key).is_some() {
                let path = self.path_of(key);
                self.without_effect.push(path);
            }
        }
    }

    /// The switch under `key`; off if there is none.
    fn flag(&mut self, key: &str) -> bool {
        match self.members.remove(key) {
            None => false,
            Some(Value::Bool(flag)) => flag,
            Some(_) => {
                self.problem(key, "must be true or false");
                false
            }
        }
    }

    fn text(&mut self, key: &str) -> Option<String> {
        match self.members.remove(key)? {
            Value::String(text) => Some(text),
            _ => {
                self.problem(key, "must be a string");
                None
            }
        }
    }

    fn metric(&mut self, key: &str, name: &mut String) {
        match self.text(key) {
            None => {}
            Some(text) if text.trim().is_empty() => self.problem(key, "must not be empty"),
            Some(text) if text.chars().count() >= METRIC_NAME_LIMIT => {
                self.problem(key, "must have fewer than 128 characters");
            }
            Some(text) => *name = text,
        }
    }

    fn list(&mut self, key: &str, list: &mut Vec<String>) {
        let Some(value) = self.members.remove(key) else {
            return;
        };
        match serde_json::from_value(value) {
            Ok(texts) => *list = texts,
            Err(_) => self.problem(key, "must be an array of strings"),
        }
    }

    fn properties(&mut self, rules: &mut PropertyRules) {
        self.section("properties", |properties| {
            properties.list("include", &mut rules.include);
            properties.list("exclude", &mut rules.exclude);
            let Some(map) = properties.members.remove("map") else {
                return;
            };
            match serde_json::from_value(map) {
                Ok(map) => rules.map = map,
                Err(_) => properties.problem("map", "must be an object of strings"),
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_text_everything_has_its_default() {
        for text in [
            "",
            " \n",
            "{}",
            r#"{"order":{"states":{}},"product":{"inventory":{"useChannelInventory":""}}}"#,
        ] {
            assert_eq!(
                SyncConfig::parse(text).unwrap(),
                SyncConfig::default(),
                "{text}"
            );
        }
        let config = SyncConfig::default();
        assert_eq!(config.order.states.fulfilled, ["Confirmed", "Complete"]);
        assert_eq!(config.order.states.cancelled, ["Cancelled"]);
        assert_eq!(config.order.metrics.refunded, "Refunded Order");
    }

    #[test]
    fn every_part_can_be_set() {
        let rules = |name: &str| {
            format!(
                r#"{{"properties":{{"include":["{name}"],"exclude":["x"],"map":{{"{name}":"new"}}}}}}"#
            )
        };
        let text = format!(
            r#"{{"order":{{
                "states":{{"changed":{{"fulfilledOrder":["A"],"cancelledOrder":[]}}}},
                "metrics":{{"placedOrder":"P","orderedProduct":"O","fulfilledOrder":"F","cancelledOrder":"C","refundedOrder":"R"}},
                "properties":{{"include":["i"]}},
                "customFields":{}}},
              "customer":{{"customFields":{}}},
              "product":{{"inventory":{{"useChannelInventory":"channel"}}}}}}"#,
            rules("o"),
            rules("c"),
        );
        let config = SyncConfig::parse(&text).unwrap();
        let expected = |name: &str| PropertyRules {
            include: vec![name.to_owned()],
            exclude: vec!["x".to_owned()],
            map: BTreeMap::from([(name.to_owned(), "new".to_owned())]),
        };
        assert_eq!(
            config.order.states,
            OrderStates {
                fulfilled: vec!["A".to_owned()],
                cancelled: Vec::new()
            }
        );
        assert_eq!(config.order.metrics.placed, "P");
        assert_eq!(config.order.metrics.ordered_product, "O");
        assert_eq!(config.order.metrics.fulfilled, "F");
        assert_eq!(config.order.metrics.cancelled, "C");
        assert_eq!(config.order.metrics.refunded, "R");
        assert_eq!(config.order.properties.include, ["i"]);
        assert_eq!(config.order.custom_fields, expected("o"));
        assert_eq!(config.customer.custom_fields, expected("c"));
        assert_eq!(
            config.product.inventory.use_channel_inventory.as_deref(),
            Some("channel")
        );
    }

    #[test]
    fn keys_of_the_realtime_module_are_taken_and_named() {
        let text = r#"{
            "disabledEvents": ["x"], "payment": {"messages": {}}, "category": 1,
            "order": {"messages": {}, "states": {"created": {"placedOrder": ["Open"]}}},
            "customer": {"messages": null, "deduplication": {"enabled": false}},
            "product": {"messages": {"deleted": []}}
        }"#;
        let config = SyncConfig::parse(text).unwrap();
        assert_eq!(
            config.without_effect,
            [
                "disabledEvents",
                "payment",
                "category",
                "order.messages",
                "order.states.created",
                "customer.messages",
                "product.messages",
            ]
        );
        let expected = SyncConfig {
            without_effect: config.without_effect.clone(),
            ..SyncConfig::default()
        };
        assert_eq!(config, expected);
    }

    #[test]
    fn deduplication_is_on_or_off() {
        let parse = |value: &str| {
            let text = format!(r#"{{"customer":{{"deduplication":{{"enabled":{value}}}}}}}"#);
            SyncConfig::parse(&text).map(|config| config.customer.deduplicates)
        };
        assert_eq!(parse("true"), Ok(true));
        assert_eq!(parse("false"), Ok(false));
        assert!(!SyncConfig::default().customer.deduplicates);
        let problem = "customer.deduplication.enabled must be true or false".to_owned();
        assert_eq!(parse("1"), Err(vec![problem]));
    }

    #[test]
    fn every_problem_is_reported_with_its_path() {
        let text = r#"{
            "orders": {},
            "order": {"states":{"changed":{"fulfilledOrder":"Complete","shipped":[]}}, "metrics":{"placedOrder":" ","refundedOrder":5}},
            "customer": {"customFields":{"properties":{"include":[1],"map":{"a":null}}}},
            "product": []
        }"#;
        let problems = SyncConfig::parse(text).unwrap_err();
        assert_eq!(
            problems,
            [
                "order.states.changed.fulfilledOrder must be an array of strings",
                "order.states.changed.shipped is not a known key",
                "order.metrics.placedOrder must not be empty",
                "order.metrics.refundedOrder must be a string",
                "customer.customFields.properties.include must be an array of strings",
                "customer.customFields.properties.map must be an object of strings",
                "product must be an object",
                "orders is not a known key",
            ]
        );
    }

    #[test]
    fn metrics_that_would_count_as_one_are_refused() {
        for (key, name, clash) in [
            ("fulfilledOrder", "Placed Order", "placedOrder"),
            ("cancelledOrder", "Fulfilled Order", "fulfilledOrder"),
            ("refundedOrder", "Placed Order", "placedOrder"),
            ("refundedOrder", "Cancelled Order", "cancelledOrder"),
        ] {
            let text = format!(r#"{{"order":{{"metrics":{{"{key}":"{name}"}}}}}}"#);
            let problems = SyncConfig::parse(&text).unwrap_err();
            let [problem] = &problems[..] else {
                panic!("{problems:?}");
            };
            let names = format!("order.metrics.{clash} and order.metrics.{key} must differ");
            assert!(problem.starts_with(&names), "{problem}");
        }
        // those of order lines have ids of their own
        let text = r#"{"order":{"metrics":{"orderedProduct":"Placed Order"}}}"#;
        assert!(SyncConfig::parse(text).is_ok());
        let long = format!(
            r#"{{"order":{{"metrics":{{"placedOrder":"{}"}}}}}}"#,
            "x".repeat(128)
        );
        assert_eq!(
            SyncConfig::parse(&long).unwrap_err(),
            ["order.metrics.placedOrder must have fewer than 128 characters"]
        );
    }

    #[test]
    fn what_is_not_an_object_is_refused() {
        assert_eq!(
            SyncConfig::parse("[]").unwrap_err(),
            ["must be a JSON object"]
        );
        assert!(SyncConfig::parse("{").unwrap_err()[0].starts_with("is not JSON"));
    }
}
