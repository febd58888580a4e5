//! Laws of id ranges: together they are the key space, each id once, however far each of them is.

use klaviyo_bulk_import::run::state::RunOptions;
use klaviyo_bulk_import::run::state::{Cursor, IdRange};
use proptest::prelude::*;

/// Ids as commercetools has them, and some that are otherwise.
fn id() -> impl Strategy<Value = String> {
    prop_oneof![
        9 => "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
        1 => "[0-9a-f]{8}-0000-0000-0000-000000000000",
        1 => "[ -~]{0,12}",
    ]
}

fn ranges(start_id: Option<String>, parts: usize) -> Vec<IdRange> {
    let order = RunOptions {
        start_id,
        ..RunOptions::default()
    };
    Cursor::all_ranges(&order, parts)
}

proptest! {
    #[test]
    fn every_id_is_in_one_range(ids in prop::collection::vec(id(), 1..50), parts in 0usize..70) {
        let ranges = ranges(None, parts);
        prop_assert_eq!(ranges.len(), parts.max(1));
        for id in &ids {
            prop_assert_eq!(ranges.iter().filter(|range| range.contains(id)).count(), 1, "{}", id);
        }
    }

    #[test]
    fn from_a_start_id_on_its_own_included(ids in prop::collection::vec(id(), 1..50), start in id(), parts in 1usize..70) {
        let ranges = ranges(Some(start.clone()), parts);
        for id in ids.iter().chain([&start]) {
            let holders = ranges.iter().filter(|range| range.contains(id)).count();
            prop_assert_eq!(holders, usize::from(*id >= start), "{}", id);
        }
    }

    #[test]
    fn what_is_done_is_no_longer_in_its_range_and_the_rest_is(ids in prop::collection::vec(id(), 1..50), done in id(), parts in 1usize..20) {
        for range in ranges(None, parts).iter().filter(|range| range.contains(&done)) {
            let rest = range.advanced_to(&done);
            for id in &ids {
                prop_assert_eq!(rest.contains(id), range.contains(id) && *id > done, "{}", id);
            }
        }
    }
}
