//! What passing trouble is called, and by whom.
//!
//! Taken from the sources of hyper, h2, reqwest, rustls, tokio and Rust's standard library; from Node 20, Python 3.11 with
//! requests, and curl 7.88, run against a loopback server that refuses, resets, closes, stalls and cuts. The texts of Go, gRPC,
//! Windows, nginx, Cloudflare and Stripe are those in common use, and were not seen from a run.

/// The statuses that pass by themselves, as in `decision`.
macro_rules! status {
    () => {
        "(?:408|425|429|500|502|503|504|52[0-4])"
    };
}

/// A pattern, and the texts that it is there for.
pub(super) struct Words {
    /// Matched as a whole word or several, in any case of letters.
    pub(super) pattern: &'static str,
    /// Who says so, and how: the rows of the documented table, and of its test.
    #[cfg_attr(not(test), expect(dead_code, reason = "the pattern decides; a test holds the two together"))]
    pub(super) said_by: &'static [(&'static str, &'static str)],
}

/// Texts with one of these words are about a certificate, which does not mend itself, whatever else they say.
pub(super) const LASTING: &str = concat!(
    r"certificate|\bx509\b|\bcert_(?:has_expired|not_yet_valid|revoked|untrusted|rejected|signature|chain)|_cert_|_cert\b|",
    "self[ _-]signed|unable[ _]to[ _]verify|unknownissuer|alert unknown ca|hostname mismatch"
);

/// A number is a status beside a word that says so, or as the whole text: elsewhere it may be an amount, an order or an id.
pub(super) const TRANSIENT: &[Words] = &[
    Words {
        pattern: concat!(r"http(?:/[\d.]+)?(?: (?:status|server|error|response|code))*[:=]? ?\(?", status!()),
        said_by: &[
            ("Python", "HTTP Error 503: Service Unavailable"),
            ("reqwest", "HTTP status server error (502 Bad Gateway) for url (https://api.example.com/)"),
            ("any", "HTTP 503"),
            ("any", "HTTP/1.1 429 Slow"),
        ],
    },
    Words {
        pattern: concat!(
            r#"(?:http[ _-]?)?(?:status|response)(?:[ _-]?code)?["']?(?: (?:is|was))?[:=]? ?\(?"#,
            status!()
        ),
        said_by: &[
            ("Node", "Request failed with status code 503"),
            ("Go", "unexpected status: 502"),
            ("any", "status=504"),
            ("any", r#"{"statusCode":429,"error":"x"}"#),
        ],
    },
    Words {
        pattern: concat!("returned error: ", status!()),
        said_by: &[("curl", "curl: (22) The requested URL returned error: 503")],
    },
    Words {
        pattern: concat!(r#"^(?:error code: )?["'(\[]?"#, status!(), r#"["')\].]?$"#),
        said_by: &[("any", "503"), ("any", "(502)"), ("Cloudflare", "error code: 522")],
    },
    Words {
        pattern: "(?:service|temporarily) unavailable|bad gateway|internal server error|425 too early",
        said_by: &[
            ("HTTP", "503 Service Unavailable"),
            ("HTTP", "Bad Gateway"),
            ("HTTP", "500 Internal Server Error"),
            ("HTTP", "425 Too Early"),
            ("Python", "503 Server Error: Service Unavailable for url: https://api.example.com/"),
            ("std", "Resource temporarily unavailable (os error 11)"),
            ("nginx", "Service Temporarily Unavailable"),
        ],
    },
    Words {
        pattern: "rate[ _-]?limit(?:ed|ing|s)?(?:[ _-]?(?:exceeded|error|reached))?",
        said_by: &[
            ("Stripe", "rate_limit"),
            ("Stripe", "Request rate limit exceeded."),
            ("Python", "RateLimitError: slow down"),
            ("any", "rate_limit_exceeded"),
            ("any", "you are being rate-limited"),
        ],
    },
    Words {
        pattern: "too[ _-]?many[ _-]?requests|throttl(?:ed|ing)(?:exception)?|lock_timeout",
        said_by: &[
            ("HTTP", "429 Too Many Requests"),
            ("any", "too_many_requests"),
            ("any", "the call was throttled"),
            ("Stripe", "lock_timeout"),
        ],
    },
    Words {
        pattern: concat!(
            "(?:(?:read|write|connect(?:ion)?|pool|request|socket|headers|body|gateway|api|server|handshake)[ _-]?)?",
            "time[d-]?[ -]?out(?:[ _-]?(?:error|exception))?"
        ),
        said_by: &[
            ("std", "timed out"),
            ("std", "Connection timed out (os error 110)"),
            ("reqwest", "operation timed out"),
            ("HTTP", "504 Gateway Time-out"),
            ("HTTP", "408 Request Timeout"),
            ("Node", "TimeoutError: The operation was aborted due to timeout"),
            ("Node", "ConnectTimeoutError: Connect Timeout Error"),
            ("Node", "timeout of 5000ms exceeded"),
            ("Python", "HTTPSConnectionPool(host='api.example.com', port=443): Read timed out. (read timeout=1)"),
            ("Python", "_ssl.c:989: The handshake operation timed out"),
            ("Python", "ReadTimeout"),
            ("Go", "dial tcp 10.0.0.1:443: i/o timeout"),
            ("Go", "net/http: TLS handshake timeout"),
            ("curl", "curl: (28) Operation timed out after 1001 milliseconds with 0 bytes received"),
        ],
    },
    Words {
        pattern: "deadline[ _]?(?:has )?(?:elapsed|exceeded)|operation too slow",
        said_by: &[
            ("tokio", "deadline has elapsed"),
            (
                "Go",
                r#"Get "https://api.example.com/": context deadline exceeded (Client.Timeout exceeded while awaiting headers)"#,
            ),
            ("gRPC", "4 DEADLINE_EXCEEDED: Deadline exceeded"),
            ("gRPC", "rpc error: code = DeadlineExceeded desc = x"),
            ("curl", "curl: (28) Operation too slow. Less than 1 bytes/sec transferred the last 1 seconds"),
        ],
    },
    Words {
        pattern: concat!(
            "connection (?:was |has been |is )?(?:reset|refused|abort(?:ed)?|closed|broken|lost|dropped|terminated|error)",
            "(?: by peer)?|connection(?:reset|refused|aborted|closed)(?:error)?|(?:api)?connectionerror"
        ),
        said_by: &[
            ("std", "connection reset"),
            ("std", "Connection reset by peer (os error 104)"),
            ("std", "Connection refused (os error 111)"),
            ("std", "Software caused connection abort (os error 103)"),
            ("hyper", "connection closed before message completed"),
            ("hyper", "connection error"),
            ("std", "Custom { kind: ConnectionReset, error: \"x\" }"),
            ("Python", "('Connection aborted.', ConnectionResetError(104, 'Connection reset by peer'))"),
            ("Python", "[Errno 111] Connection refused"),
            ("Python", "ConnectionRefusedError"),
            ("Python", "Connection broken"),
            ("Stripe", "APIConnectionError"),
            ("Go", "read tcp 10.0.0.1:55312->10.0.0.2:443: read: connection reset by peer"),
            ("Go", "http2: client connection lost"),
            ("curl", "curl: (56) Recv failure: Connection reset by peer"),
        ],
    },
    Words {
        pattern: concat!(
            "E(?:CONN(?:RESET|REFUSED|ABORTED)|PIPE|(?:SOCKET)?TIMEDOUT|TIMEOUT|AI_AGAIN|NOTFOUND|SERVFAIL|",
            "HOST(?:UNREACH|DOWN)|NET(?:UNREACH|DOWN|RESET)|NOTCONN|ADDRNOTAVAIL)"
        ),
        said_by: &[
            ("Node", "read ECONNRESET"),
            ("Node", "connect ECONNREFUSED 127.0.0.1:443"),
            ("Node", "ECONNABORTED"),
            ("Node", "write EPIPE"),
            ("Node", "connect ETIMEDOUT 10.0.0.1:443"),
            ("Node", "ESOCKETTIMEDOUT"),
            ("Node", "queryA ETIMEOUT api.example.com"),
            ("Node", "queryA ESERVFAIL api.example.com"),
            ("Node", "getaddrinfo EAI_AGAIN api.example.com"),
            ("Node", "getaddrinfo ENOTFOUND api.example.com"),
            ("Node", "connect EHOSTUNREACH 2001:db8::1:80"),
            ("Node", "connect ENETUNREACH 10.0.0.1:443"),
            ("Node", "{ code: 'ECONNRESET' }"),
        ],
    },
    Words {
        pattern: concat!(
            "UND_ERR_(?:SOCKET|(?:CONNECT|HEADERS|BODY)_TIMEOUT)|ERR_(?:NETWORK|SOCKET_CLOSED|STREAM_PREMATURE_CLOSE|",
            "HTTP2_(?:STREAM_CANCEL|STREAM_ERROR|SESSION_ERROR|GOAWAY_SESSION))"
        ),
        said_by: &[
            ("Node", "SocketError UND_ERR_SOCKET"),
            ("Node", "UND_ERR_HEADERS_TIMEOUT"),
            ("Node", "ERR_NETWORK"),
            ("Node", "Error [ERR_STREAM_PREMATURE_CLOSE]: Premature close"),
            ("Node", "ERR_HTTP2_GOAWAY_SESSION"),
        ],
    },
    Words {
        pattern: "socket hang up|other side closed|fetch failed|premature close|network socket disconnected",
        said_by: &[
            ("Node", "socket hang up"),
            ("Node", "other side closed"),
            ("Node", "TypeError: fetch failed"),
            ("Node", "Client network socket disconnected before secure TLS connection was established"),
        ],
    },
    Words {
        pattern: r"^(?:[a-z]*error: )?(?:terminated|aborted)$",
        said_by: &[("Node", "TypeError: terminated"), ("Node", "aborted")],
    },
    Words {
        pattern: "broken[ _]?pipe(?:error)?",
        said_by: &[
            ("std", "Broken pipe (os error 32)"),
            ("Python", "BrokenPipeError"),
            ("Go", "write tcp 10.0.0.1:55312->10.0.0.2:443: write: broken pipe"),
        ],
    },
    Words {
        pattern: concat!(
            "no route to host|(?:host|network) ?(?:is )?(?:unreachable|down)|network dropped connection on reset|",
            "cannot assign requested address|(?:socket|endpoint) is not connected|couldn't connect to server|tcp connect error|",
            "failed to establish a new connection"
        ),
        said_by: &[
            ("std", "No route to host (os error 113)"),
            ("std", "Network is unreachable (os error 101)"),
            ("std", "host unreachable"),
            ("std", "Kind(NetworkUnreachable)"),
            ("std", "Host is down (os error 112)"),
            ("std", "Transport endpoint is not connected (os error 107)"),
            ("hyper", "tcp connect error"),
            ("Python", "Failed to establish a new connection"),
            ("curl", "curl: (7) Failed to connect to 127.0.0.1 port 443 after 0 ms: Couldn't connect to server"),
        ],
    },
    Words {
        pattern: concat!(
            "dns (?:error|failure|lookup|resolution|query|server|timeout)|resolving dns|failed to lookup address|failed to resolve (?:host|address|name|'[a-z0-9.-]+')|name resolution|nameresolutionerror|name or service not known|",
            "could(?: not|n't) resolve (?:host|proxy)|no such host|server misbehaving"
        ),
        said_by: &[
            ("std", "failed to lookup address information: Name or service not known"),
            ("reqwest", "error resolving DNS"),
            ("hyper", "dns error"),
            ("Python", "[Errno -3] Temporary failure in name resolution"),
            ("Python", "Failed to resolve 'api.example.com'"),
            ("Go", "dial tcp: lookup api.example.com: no such host"),
            ("Go", "lookup api.example.com on 10.0.0.53:53: server misbehaving"),
            ("curl", "curl: (6) Could not resolve host: api.example.com"),
        ],
    },
    Words {
        pattern: concat!(
            "unexpected ?(?:eof|end of (?:file|input|stream|json input))|(?:early |handshake )?eof$|early eof|",
            "eof (?:while parsing|occurred in violation of protocol)|unexpected_eof_while_reading|",
            "end of file before message length reached|peer closed connection|incompleteread|",
            "remotedisconnected|remote end closed connection|server disconnected"
        ),
        said_by: &[
            ("std", "unexpected end of file"),
            ("std", "Custom { kind: UnexpectedEof, error: \"x\" }"),
            ("tokio", "early eof"),
            ("hyper", "end of file before message length reached"),
            ("hyper", "unexpected EOF during chunk size line"),
            ("rustls", "peer closed connection without sending TLS close_notify: https://docs.rs/rustls/"),
            ("rustls", "tls handshake eof"),
            ("Node", "SyntaxError: Unexpected end of JSON input"),
            ("Python", "[SSL: UNEXPECTED_EOF_WHILE_READING] EOF occurred in violation of protocol (_ssl.c:1006)"),
            ("Python", "IncompleteRead(3 bytes read, 97 more expected)"),
            ("Python", "RemoteDisconnected('Remote end closed connection without response')"),
            ("Python", "Server disconnected"),
            ("Go", "unexpected EOF"),
            ("Go", r#"Get "https://api.example.com/": EOF"#),
        ],
    },
    Words {
        pattern: concat!(
            "error (?:sending request|decoding response body|(?:reading|writing) a body (?:from|to) connection)|",
            r"request or response body error|client error \((?:connect|sendrequest)\)|^channel closed$|dispatch task is gone|",
            r"^operation was canceled$|connection was not ready|legacy::error\((?:connect|sendrequest)|",
            r"hyper::error\((?:incompletemessage|channelclosed|connect|io|body)"
        ),
        said_by: &[
            ("reqwest", "error sending request for url (https://api.example.com/)"),
            ("reqwest", "error decoding response body for url (https://api.example.com/)"),
            ("reqwest", "request or response body error"),
            ("reqwest", "source: hyper_util::client::legacy::Error(SendRequest, hyper::Error(IncompleteMessage))"),
            ("reqwest", "source: hyper::Error(Body, Custom { kind: UnexpectedEof, error: IncompleteBody })"),
            ("hyper", "client error (Connect)"),
            ("hyper", "error reading a body from connection"),
            ("hyper", "error writing a body to connection"),
            ("hyper", "channel closed"),
            ("hyper", "operation was canceled"),
        ],
    },
    Words {
        pattern: concat!(
            r"http2 error|stream error|goaway|refused_stream|refused stream before processing any application logic|",
            r"enhance_your_calm|detected excessive load generating behavior|http/2 stream \d+ was (?:not closed cleanly|reset)"
        ),
        said_by: &[
            ("hyper", "http2 error"),
            ("h2", "stream error received: refused stream before processing any application logic"),
            ("h2", "connection detected excessive load generating behavior"),
            ("Go", "stream error: stream ID 1; REFUSED_STREAM"),
            ("Go", "http2: server sent GOAWAY and closed the connection; LastStreamID=1"),
            ("curl", "curl: (92) HTTP/2 stream 1 was not closed cleanly: INTERNAL_ERROR (err 2)"),
        ],
    },
    Words {
        pattern: concat!(
            "use of closed network connection|server closed idle connection|transport connection broken|",
            "request canceled while waiting for connection|timeout awaiting response headers"
        ),
        said_by: &[
            ("Go", "write tcp 10.0.0.1:55312->10.0.0.2:443: use of closed network connection"),
            ("Go", "http: server closed idle connection"),
            ("Go", "net/http: HTTP/1.x transport connection broken: malformed HTTP response"),
            ("Go", "net/http: request canceled while waiting for connection"),
            ("Go", "net/http: timeout awaiting response headers"),
        ],
    },
    Words {
        pattern: "(?:code = |status: '?)(?:unavailable|resourceexhausted)|^(?:[a-z]*error: )?(?:14 unavailable|8 resource_exhausted)",
        said_by: &[
            ("gRPC", "rpc error: code = Unavailable desc = x"),
            ("gRPC", "status: Unavailable, message: \"x\""),
            ("gRPC", "14 UNAVAILABLE: No connection established"),
            ("gRPC", "8 RESOURCE_EXHAUSTED: x"),
        ],
    },
    Words {
        pattern: concat!(
            r"curl(?: error)?:? \(?(?:5|6|7|18|28|52|55|56|92)\)?|empty reply from server|transfer closed with|",
            "(?:recv|send) failure|failure when receiving data from the peer|failed sending data to the peer|ssl_error_syscall"
        ),
        said_by: &[
            ("curl", "curl: (52) Empty reply from server"),
            ("curl", "transfer closed with 97 bytes remaining to read"),
            ("curl", "transfer closed with outstanding read data remaining"),
            ("curl", "curl: (35) OpenSSL SSL_connect: SSL_ERROR_SYSCALL in connection to 127.0.0.1:443"),
            ("curl", "Failure when receiving data from the peer"),
            ("curl", "cURL error 56"),
        ],
    },
    Words {
        pattern: "network ?(?:error|failure|problem|request failed)|^network$",
        said_by: &[("any", "Network error"), ("any", "NetworkError"), ("Node", "Network request failed")],
    },
    Words {
        pattern: "forcibly closed by the remote host|actively refused it",
        said_by: &[
            ("std", "An existing connection was forcibly closed by the remote host. (os error 10054)"),
            ("std", "No connection could be made because the target machine actively refused it. (os error 10061)"),
        ],
    },
];
