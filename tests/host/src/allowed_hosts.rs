//! Whom a component may call: `allowed_outbound_hosts`, read as Spin reads it.
//!
//! An entry is `scheme://host[:port]`. The scheme may be `*`; the host may be `*`, begin with `*.` (any subdomain), or be
//! `self` (this application, which the component then calls as `http://self.alt`); the port may be `*` or a range
//! `from..to` (without its end) and otherwise is the scheme's own. Without an entry nothing is allowed.

use anyhow::{Context, Result, bail};

/// The entries of one component, parsed.
#[derive(Debug, Default)]
pub(crate) struct AllowedHosts(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    /// `None` for any.
    scheme: Option<String>,
    host: HostPattern,
    port: PortPattern,
}

#[derive(Debug, PartialEq, Eq)]
enum HostPattern {
    Any,
    Itself,
    Subdomains(String),
    Exact(String),
}

#[derive(Debug)]
enum PortPattern {
    Any,
    Within(std::ops::Range<u32>),
}

impl AllowedHosts {
    /// Parses entries whose templates are filled already.
    pub(crate) fn parse(entries: &[String]) -> Result<Self> {
        entries
            .iter()
            .map(|entry| {
                Entry::parse(entry.trim())
                    .with_context(|| format!("allowed_outbound_hosts has `{entry}`"))
            })
            .collect::<Result<_>>()
            .map(Self)
    }

    /// Whether `scheme://host:port` may be called; `port` is the scheme's own when `None`.
    pub(crate) fn allow(&self, scheme: &str, host: &str, port: Option<u16>) -> bool {
        let Some(port) = port.or_else(|| default_port(scheme)) else {
            return false;
        };
        self.0.iter().any(|entry| {
            entry
                .scheme
                .as_deref()
                .is_none_or(|allowed| allowed == scheme)
                && entry.host.matches(host)
                && entry.port.matches(port)
        })
    }

    /// Whether the application may call itself.
    pub(crate) fn allow_self(&self) -> bool {
        self.0.iter().any(|entry| {
            entry.host == HostPattern::Itself
                && entry
                    .scheme
                    .as_deref()
                    .is_none_or(|scheme| matches!(scheme, "http" | "https"))
        })
    }
}

impl Entry {
    fn parse(text: &str) -> Result<Self> {
        let (scheme, rest) = text
            .split_once("://")
            .context("it has no scheme: write scheme://host[:port]")?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if !path.is_empty() {
            bail!("it has a path, and hosts are allowed, not paths");
        }
        // The colons of an IPv6 address are within brackets.
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port)),
            _ => (authority, None),
        };
        let scheme = match scheme {
            "*" => None,
            "" => bail!("its scheme is empty"),
            scheme => Some(scheme.to_ascii_lowercase()),
        };
        let host = HostPattern::parse(host)?;
        let port = match (port, &scheme) {
            // One's own port is nobody's business.
            _ if host == HostPattern::Itself => PortPattern::Any,
            (Some(port), _) => PortPattern::parse(port)?,
            (None, Some(scheme)) => {
                let port = default_port(scheme)
                    .with_context(|| format!("it needs a port: {scheme} has none of its own"))?;
                PortPattern::one(port)
            }
            (None, None) => bail!("it needs a port: `*` has none of its own"),
        };
        Ok(Self { scheme, host, port })
    }
}

impl HostPattern {
    fn parse(host: &str) -> Result<Self> {
        Ok(match host {
            "" => bail!("its host is empty"),
            "*" => Self::Any,
            "self" | "self.alt" => Self::Itself,
            host => match host.strip_prefix("*.") {
                Some(domain) if !domain.contains('*') => {
                    Self::Subdomains(format!(".{}", domain.to_ascii_lowercase()))
                }
                None if !host.contains('*') => Self::Exact(host.to_ascii_lowercase()),
                _ => bail!("a `*` in a host may only stand for its first labels"),
            },
        })
    }

    fn matches(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        match self {
            Self::Any => true,
            Self::Itself => false,
            Self::Subdomains(suffix) => host.ends_with(suffix),
            Self::Exact(exact) => *exact == host,
        }
    }
}

impl PortPattern {
    fn one(port: u16) -> Self {
        Self::Within(u32::from(port)..u32::from(port) + 1)
    }

    fn parse(text: &str) -> Result<Self> {
        let number = |text: &str| {
            text.parse::<u16>()
                .with_context(|| format!("`{text}` is not a port"))
        };
        Ok(match text.split_once("..") {
            _ if text == "*" => Self::Any,
            Some((from, to)) => Self::Within(number(from)?.into()..number(to)?.into()),
            None => Self::one(number(text)?),
        })
    }

    fn matches(&self, port: u16) -> bool {
        match self {
            Self::Any => true,
            Self::Within(range) => range.contains(&port.into()),
        }
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(entry: &str, scheme: &str, host: &str, port: Option<u16>) -> bool {
        AllowedHosts::parse(&[entry.to_owned()])
            .unwrap()
            .allow(scheme, host, port)
    }

    #[test]
    fn scheme_host_and_port_must_all_agree() {
        let entry = "https://api.example.com";
        assert!(allowed(entry, "https", "api.example.com", None));
        assert!(allowed(entry, "https", "API.example.com", Some(443)));
        assert!(!allowed(entry, "http", "api.example.com", None));
        assert!(!allowed(entry, "https", "api.example.com", Some(8443)));
        assert!(!allowed(entry, "https", "example.com", None));
        assert!(!allowed(entry, "https", "api.example.com.evil.net", None));
    }

    #[test]
    fn a_whole_url_is_an_entry_with_and_without_its_slash() {
        for entry in ["http://127.0.0.1:8080", "http://127.0.0.1:8080/"] {
            assert!(allowed(entry, "http", "127.0.0.1", Some(8080)));
            assert!(!allowed(entry, "http", "127.0.0.1", Some(8081)));
        }
        assert!(allowed(
            "https://example.com/",
            "https",
            "example.com",
            None
        ));
        assert!(allowed("http://[::1]:80", "http", "[::1]", Some(80)));
        assert!(allowed("http://[::1]", "http", "[::1]", None));
    }

    #[test]
    fn stars_stand_for_what_spin_says() {
        assert!(allowed(
            "*://example.com:*",
            "https",
            "example.com",
            Some(1)
        ));
        assert!(allowed("*://*:*", "http", "anything", Some(9)));
        assert!(allowed(
            "https://*.example.com",
            "https",
            "a.b.example.com",
            None
        ));
        assert!(!allowed(
            "https://*.example.com",
            "https",
            "example.com",
            None
        ));
        assert!(!allowed(
            "https://*.example.com",
            "https",
            "badexample.com",
            None
        ));
        assert!(allowed(
            "http://localhost:8000..8002",
            "http",
            "localhost",
            Some(8001)
        ));
        assert!(!allowed(
            "http://localhost:8000..8002",
            "http",
            "localhost",
            Some(8002)
        ));
    }

    #[test]
    fn self_is_the_application_and_no_host() {
        let hosts = AllowedHosts::parse(&["http://self".to_owned()]).unwrap();
        assert!(hosts.allow_self());
        assert!(!hosts.allow("http", "self", None));
        let others = AllowedHosts::parse(&["*://*:*".to_owned()]).unwrap();
        assert!(!others.allow_self());
    }

    #[test]
    fn refuses_malformed_entries() {
        for entry in [
            "example.com",
            "https://example.com/path",
            "*://example.com",
            "redis://example.com",
            "https://a.*.com",
            "https://",
            "http://localhost:port",
        ] {
            assert!(AllowedHosts::parse(&[entry.to_owned()]).is_err(), "{entry}");
        }
    }
}
