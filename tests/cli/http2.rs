//! A provider behind HTTP/2 that refuses a stream. The client below may not ask again by itself: the retry loop does, which
//! counts it, and pays for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use h2::Reason;
use http::Response;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::certificates::Certificates;
use crate::program::{Program, secret_key};
use crate::servers::new_folder;

const NOT_FOUND: &str =
    r#"{"error":{"type":"invalid_request_error","code":"resource_missing","message":"No such payment_intent"}}"#;

/// TLS with this certificate, for HTTP/2 alone.
fn acceptor(certificates: &Certificates) -> TlsAcceptor {
    let chain = vec![CertificateDer::from_pem_file(certificates.certificate_file()).unwrap()];
    let key = PrivateKeyDer::from_pem_file(certificates.key_file()).unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let mut config = builder.with_single_cert(chain, key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

/// Refuses the first stream of all, and knows no payment on any other.
async fn serve(acceptor: TlsAcceptor, socket: TcpStream, streams: Arc<AtomicUsize>) {
    let mut connection = h2::server::handshake(acceptor.accept(socket).await.unwrap()).await.unwrap();
    while let Some(Ok((_request, mut respond))) = connection.accept().await {
        if streams.fetch_add(1, Ordering::SeqCst) == 0 {
            respond.send_reset(Reason::REFUSED_STREAM);
            continue;
        }
        let head = Response::builder().status(404).header("content-type", "application/json").body(()).unwrap();
        let mut body = respond.send_response(head, false).unwrap();
        body.send_data(Bytes::from_static(NOT_FOUND.as_bytes()), true).unwrap();
    }
}

#[tokio::test]
async fn a_refused_stream_is_asked_for_again_by_the_retry_loop_alone() {
    let certificates = Certificates::make(new_folder("certificates"));
    let (acceptor, streams) = (acceptor(&certificates), Arc::new(AtomicUsize::new(0)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let counter = Arc::clone(&streams);
    let server = tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(serve(acceptor.clone(), socket, Arc::clone(&counter)));
        }
    });
    let run = Program::new(&["validate", "pi_1", "19.99", "usd", "--tenant", "store_42"])
        .env("STRIPE_SECRET_KEY", secret_key())
        .env("STRIPE_API_BASE", address)
        .env("SSL_CERT_FILE", certificates.authority_file().to_str().unwrap())
        .run()
        .await;
    server.abort();
    let [row] = &*run.rows() else { panic!("{run:?}") };
    let reached: Vec<_> =
        row["attempts"].as_array().unwrap().iter().map(|attempt| attempt["reach"].as_str().unwrap()).collect();
    assert_eq!((reached, streams.load(Ordering::SeqCst)), (vec!["maybe_sent", "answered"], 2), "{run:?}");
}
