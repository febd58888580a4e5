//! Connections with TLS, where a URI says `https`: the real APIs have nothing else.

use std::sync::Arc;

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};

/// A connector that takes `http` and `https`.
///
/// It trusts the system's certificate authorities, or those in the files that `SSL_CERT_FILE` and `SSL_CERT_DIR` name. A
/// system without any can connect to `http` only.
#[must_use]
pub fn with_tls<C>(connector: C) -> HttpsConnector<C> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    trusting(roots, connector)
}

/// A plain connector that [`with_tls`] can be given.
#[must_use]
pub fn tcp() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.enforce_http(false);
    connector
}

fn trusting<C>(roots: RootCertStore, connector: C) -> HttpsConnector<C> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has the ciphers of all versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_or_http()
        .enable_http1()
        .wrap_connector(connector)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::{BodyExt, Full};
    use hyper_util::client::legacy::Client;
    use hyper_util::rt::TokioExecutor;
    use rustls::ServerConfig;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;

    /// A server with this certificate, which says "there"; its port.
    async fn serve(certificate: CertificateDer<'static>, key: PrivateKeyDer<'static>) -> u16 {
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // whoever does not trust it breaks off
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    continue;
                };
                let _ = stream.read(&mut [0; 1_024]).await;
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nthere";
                let _ = stream.write_all(answer).await;
                let _ = stream.shutdown().await;
            }
        });
        port
    }

    #[tokio::test]
    async fn a_server_is_called_if_its_certificate_is_trusted_and_has_its_name() {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = made.cert.der().clone();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let port = serve(certificate.clone(), key).await;
        let call = async |roots: RootCertStore, host: &str| {
            let client = Client::builder(TokioExecutor::new())
                .build::<_, Full<Bytes>>(trusting(roots, tcp()));
            let uri = format!("https://{host}:{port}/").parse().unwrap();
            client.get(uri).await
        };
        let mut roots = RootCertStore::empty();
        roots.add(certificate).unwrap();
        let answer = call(roots.clone(), "localhost").await.unwrap();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(&*body, b"there");
        assert!(call(roots, "127.0.0.1").await.is_err());
        assert!(call(RootCertStore::empty(), "localhost").await.is_err());
    }
}
