//! Categories: trees up to 20 deep, some whose parent is gone, and some whose ancestors have themselves or another twice
//! among them.

use super::prose::{self, THINGS};
use super::{Kind, Seed, Stream, one_in, random_uuid};
use crate::json::Json;

/// Categories come in trees of this many.
const TREE: u32 = 40;
/// Each tree begins with a chain of this many, so that its last one has 19 ancestors.
const DEPTH: u32 = 20;

/// The parent of a category.
enum Parent {
    /// It is a root.
    None,
    /// The category with this index.
    Category(u32),
    /// One that the project no longer holds.
    Gone,
}

fn parent(seed: &Seed, index: u32) -> Parent {
    let place = index % TREE;
    let mut rng = seed.rng(Kind::Category, index, Stream::Traits);
    match place {
        0 => Parent::None,
        1..DEPTH => Parent::Category(index - 1),
        _ if one_in(&mut rng, 13) => Parent::Gone,
        _ => Parent::Category(index - place + rng.u32(..DEPTH - 1)),
    }
}

pub(super) fn record(seed: &Seed, index: u32) -> String {
    let mut rng = seed.rng(Kind::Category, index, Stream::Body);
    let mut ancestors = Vec::new();
    let mut at = index;
    loop {
        match parent(seed, at) {
            Parent::None => break,
            Parent::Gone => {
                ancestors.push(random_uuid(&mut rng).to_string());
                break;
            }
            Parent::Category(above) => {
                ancestors.push(seed.id(Kind::Category, above).to_string());
                at = above;
            }
        }
    }
    ancestors.reverse();
    // as it may be while a tree is being moved
    match index % TREE {
        38 if ancestors.len() < 10 => ancestors.extend(ancestors.first().cloned()),
        39 if ancestors.len() < 10 => {
            let own = seed.id(Kind::Category, index).to_string();
            ancestors.insert(ancestors.len() / 2, own);
        }
        _ => {}
    }

    let mut json = Json::with_capacity(2_500);
    json.element_object(|json| {
        seed.base(json, Kind::Category, index);
        let names = THINGS[index as usize % THINGS.len()];
        prose::localized(json, "name", names, index, rng.u8(..));
        prose::slug(json, "slug", "category", index);
        if one_in(&mut rng, 3) {
            json.object("description", |json| {
                json.text("en-US", prose::sentences(&mut rng));
            });
        }
        json.array("ancestors", |json| {
            for id in &ancestors {
                json.element_reference("category", id);
            }
        });
        if let Some(id) = ancestors.last() {
            json.reference("parent", "category", id);
        }
        json.text("orderHint", &format!("0.{:05}", rng.u32(1..100_000)));
        json.raw("assets", "[]");
    });
    json.into_text()
}
