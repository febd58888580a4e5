//! Looks up records by what they belong to, of which there may be any number: page by page, within the memory for look-ups.

use std::cell::RefCell;
use std::ops::Range;

use futures_util::{StreamExt, pin_mut, stream};

use super::lookup::{CHUNKS_AT_A_TIME, Lookups, Source};
use crate::commercetools::query::{IDS_A_QUERY, MAX_LIMIT, Query, value_in};
use crate::error::{Error, Peer};
use crate::json::Json;
use crate::mapping;
use crate::time::Deadline;

/// The most bytes of the values of one query: escaped for a URL, they stay under the 8 KB that servers accept.
const VALUES_BYTES: usize = 2_000;

/// A collection that is looked up by a member.
#[derive(Debug)]
pub(super) struct PagedLookup {
    /// For errors, such as `query standalone prices`.
    pub(super) operation: &'static str,
    /// The path below the project.
    pub(super) path: &'static str,
    /// Further parameters.
    pub(super) parameters: &'static [(&'static str, &'static str)],
    /// The member that is compared, such as `sku`, or one within another, such as `product(id)`.
    pub(super) member: Member,
    /// The assumed size of a record in bytes, before any has been read.
    pub(super) unseen_bytes: usize,
}

impl PagedLookup {
    /// Where its records are from.
    fn source(&self) -> Source {
        Source::Endpoint {
            path: self.path,
            parameters: self.parameters,
        }
    }
}

/// What a record belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Member {
    /// A member of the record.
    Own(&'static str),
    /// The id of what this member refers to.
    ReferencedBy(&'static str),
    /// The id of what a member of this member refers to.
    ReferencedWithin(&'static str, &'static str),
    /// A member of a variant of the record, whichever it is.
    OfVariants(&'static str),
}

impl Member {
    /// How often the values are part of the predicate.
    fn repeats(self) -> usize {
        match self {
            Self::Own(_) | Self::ReferencedBy(_) | Self::ReferencedWithin(..) => 1,
            Self::OfVariants(_) => 2,
        }
    }

    fn is_one_of(self, values: &[String]) -> String {
        match self {
            Self::Own(name) => value_in(name, values),
            Self::OfVariants(name) => {
                let is_one = value_in(name, values);
                format!("masterVariant({is_one}) or variants({is_one})")
            }
            Self::ReferencedWithin(within, name) => {
                format!("{within}({name}({}))", value_in("id", values))
            }
            Self::ReferencedBy(name) => format!("{name}({})", value_in("id", values)),
        }
    }
}

impl Lookups {
    /// Looks up all records that belong to one of these values, a few chunks at a time, and passes them to `take` as they
    /// arrive. Records that belong to the same value come in the order of their ids.
    ///
    /// # Errors
    /// If commercetools does not respond or rejects the request, if a single record is larger than the memory for
    /// look-ups, or if `take` fails.
    pub(super) async fn pages(
        &self,
        lookup: &PagedLookup,
        values: &[String],
        deadline: Deadline,
        take: impl FnMut(&Json) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let take = RefCell::new(take);
        let most = VALUES_BYTES / lookup.member.repeats();
        let chunks = chunks(values, most).into_iter();
        let chunks = chunks.map(|chunk| self.pages_of(lookup, &values[chunk], deadline, &take));
        let answers = stream::iter(chunks).buffered(CHUNKS_AT_A_TIME);
        pin_mut!(answers);
        while let Some(answer) = answers.next().await {
            answer?;
        }
        Ok(())
    }

    /// Looks up the records of one chunk.
    async fn pages_of(
        &self,
        lookup: &PagedLookup,
        values: &[String],
        deadline: Deadline,
        take: &RefCell<impl FnMut(&Json) -> Result<(), Error>>,
    ) -> Result<(), Error> {
        let mut paging = self.paging(lookup, values, None, MAX_LIMIT);
        let mut take_one = |record: &Json| (take.borrow_mut())(record);
        while self.next_page(&mut paging, deadline, &mut take_one).await? {}
        Ok(())
    }

    /// Looks up the next records that belong to a value, at most `most` of them, in the order of their ids from the one
    /// after `after` on. Returns the last one's id where there may be more.
    ///
    /// # Errors
    /// As [`Lookups::pages`].
    pub(super) async fn portion(
        &self,
        lookup: &PagedLookup,
        value: &str,
        after: Option<&str>,
        most: usize,
        deadline: Deadline,
        mut take: impl FnMut(&Json) -> Result<(), Error>,
    ) -> Result<Option<String>, Error> {
        let after = after.map(str::to_owned);
        let mut paging = self.paging(lookup, &[value.to_owned()], after, most);
        let is_more = self.next_page(&mut paging, deadline, &mut take).await?;
        Ok(paging.after.filter(|_| is_more))
    }

    /// The beginning of a look-up of these values. Until its first page is there, its records are taken to be as large as the
    /// largest that others have found: with room for any size, few would be requested at a time.
    fn paging<'l>(
        &self,
        lookup: &'l PagedLookup,
        values: &[String],
        after: Option<String>,
        most: usize,
    ) -> Paging<'l> {
        let known = self.known_record_bytes(lookup.source());
        Paging {
            lookup,
            predicate: lookup.member.is_one_of(values),
            record_bytes: known.unwrap_or(lookup.unseen_bytes),
            most,
            after,
        }
    }

    /// Reads the next page; `false` if it was the last. One that is larger than the memory reserved for it, or takes too
    /// long, is requested again with fewer records.
    async fn next_page(
        &self,
        paging: &mut Paging<'_>,
        deadline: Deadline,
        take: &mut impl FnMut(&Json) -> Result<(), Error>,
    ) -> Result<bool, Error> {
        let lookup = paging.lookup;
        let mut parameters = lookup.parameters.to_vec();
        parameters.push(("where", &paging.predicate));
        loop {
            // twice the known size of a record
            let fits = self.room.most() / (2 * paging.record_bytes).max(1);
            let limit = paging.most.min(fits).max(1);
            let reserved = match limit {
                1 => self.room.most(),
                _ => (2 * paging.record_bytes * limit).min(self.room.most()),
            };
            let taken = self.room.take(&self.ports, reserved).await;
            let query = Query {
                after: paging.after.as_deref(),
                limit,
                parameters: &parameters,
                is_lookup: true,
                ..Query::all(lookup.operation, lookup.path, reserved)
            };
            let records = match self.client.page(&query, deadline).await {
                Err(error) if limit > 1 && (error.is_too_large() || error.is_slow_page()) => {
                    drop(taken);
                    paging.most = limit / 2;
                    if error.is_too_large() {
                        paging.record_bytes = paging.record_bytes.max(reserved / limit);
                    }
                    continue;
                }
                records => records?,
            };
            if let Some(mean) = self.note_size(lookup.source(), &records) {
                paging.record_bytes = mean.max(1);
            }
            records.iter().try_for_each(take)?;
            let Some(last) = records.last().filter(|_| records.len() == limit) else {
                return Ok(false);
            };
            // else the next page would be this one again
            let is_later = |last: &String| paging.after.as_ref().is_none_or(|after| last > after);
            let last = mapping::id(last.part()).filter(is_later).ok_or_else(|| {
                let expected = "records with their ids, which come after those before";
                Error::unreadable(Peer::Commercetools, lookup.operation, expected)
            })?;
            paging.after = Some(last);
            return Ok(true);
        }
    }
}

/// How far the records of one chunk of values have been read.
struct Paging<'l> {
    lookup: &'l PagedLookup,
    predicate: String,
    /// The size of a record in bytes, as far as it is known.
    record_bytes: usize,
    /// The most records of a page.
    most: usize,
    after: Option<String>,
}

/// The values in chunks of one query each, with at most so many bytes.
fn chunks(values: &[String], most_bytes: usize) -> Vec<Range<usize>> {
    let mut chunks: Vec<Range<usize>> = Vec::new();
    let mut bytes = 0;
    for (at, value) in values.iter().enumerate() {
        // anything but letters and digits takes three bytes in a URL; quotes and comma take nine
        let plain = value.bytes().filter(u8::is_ascii_alphanumeric).count();
        let length = (value.len() - plain) + plain.div_ceil(3) + 3;
        match chunks.last_mut() {
            Some(chunk) if chunk.len() < IDS_A_QUERY && bytes + length <= most_bytes => {
                chunk.end = at + 1;
                bytes += length;
            }
            _ => {
                chunks.push(at..at + 1);
                bytes = length;
            }
        }
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_have_all_values_and_fit_into_a_url() {
        for value in ["A1", "Größe \"L\" :::, \\ ", &"長".repeat(80)] {
            let values: Vec<String> = (0..1_000).map(|at| format!("{value}{at}")).collect();
            let chunks = chunks(&values, VALUES_BYTES);
            let covered: Vec<usize> = chunks.iter().flat_map(Clone::clone).collect();
            assert_eq!(covered, (0..1_000).collect::<Vec<_>>());
            for chunk in chunks {
                assert!(chunk.len() <= IDS_A_QUERY);
                let predicate = Member::Own("sku").is_one_of(&values[chunk]);
                let escaped: String =
                    url::form_urlencoded::byte_serialize(predicate.as_bytes()).collect();
                assert!(escaped.len() < 7_000, "{}", escaped.len());
            }
        }
        assert!(chunks(&[], VALUES_BYTES).is_empty());
    }

    #[test]
    fn a_member_is_compared_by_itself_or_within_another() {
        let values = ["a\"b".to_owned(), "c".to_owned()];
        assert_eq!(
            Member::Own("sku").is_one_of(&values),
            r#"sku in ("a\"b","c")"#
        );
        assert_eq!(
            Member::ReferencedBy("product").is_one_of(&values),
            r#"product(id in ("a\"b","c"))"#
        );
        assert_eq!(
            Member::ReferencedWithin("paymentInfo", "payments").is_one_of(&values[1..]),
            r#"paymentInfo(payments(id in ("c")))"#
        );
        assert_eq!(
            Member::OfVariants("sku").is_one_of(&values[1..]),
            r#"masterVariant(sku in ("c")) or variants(sku in ("c"))"#
        );
    }
}
