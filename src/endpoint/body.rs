//! Bodies: read up to a limit, and handed on.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;

use crate::accessors::partial_debug;

/// The body of a response that came through the layer: kept whole, or the handler's own.
///
/// Trailers of a body that was kept whole are dropped.
pub struct ResponseBody<B>(Inner<B>);

enum Inner<B> {
    /// All of it; `None` once it was sent.
    Whole(Option<Bytes>),
    /// What was read of it already, and the rest.
    Rest { read: VecDeque<Bytes>, rest: Pin<Box<B>> },
}

impl<B> ResponseBody<B> {
    pub(super) fn whole(body: Bytes) -> Self {
        Self(Inner::Whole(Some(body).filter(|body| !body.is_empty())))
    }

    pub(super) fn passed(body: B) -> Self {
        Self::rest(VecDeque::new(), Box::pin(body))
    }

    pub(super) fn rest(read: VecDeque<Bytes>, rest: Pin<Box<B>>) -> Self {
        Self(Inner::Rest { read, rest })
    }
}

impl<B> From<Bytes> for ResponseBody<B> {
    fn from(body: Bytes) -> Self {
        Self::whole(body)
    }
}

impl<B: Body<Data = Bytes>> Body for ResponseBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match &mut self.0 {
            Inner::Whole(body) => Poll::Ready(body.take().map(|body| Ok(Frame::data(body)))),
            Inner::Rest { read, rest } => match read.pop_front() {
                Some(part) => Poll::Ready(Some(Ok(Frame::data(part)))),
                None => rest.as_mut().poll_frame(cx),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Inner::Whole(body) => body.is_none(),
            Inner::Rest { read, rest } => read.is_empty() && rest.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Inner::Whole(body) => SizeHint::with_exact(length(body.iter())),
            Inner::Rest { read, rest } => {
                let (rest, read) = (rest.size_hint(), length(read.iter()));
                let mut hint = SizeHint::new();
                if let Some(upper) = rest.upper() {
                    hint.set_upper(upper.saturating_add(read));
                }
                hint.set_lower(rest.lower().saturating_add(read));
                hint
            }
        }
    }
}

fn length<'b>(parts: impl Iterator<Item = &'b Bytes>) -> u64 {
    parts.fold(0, |sum, part| sum.saturating_add(u64::try_from(part.len()).unwrap_or(u64::MAX)))
}

// Shows nothing of what is in it.
partial_debug!(ResponseBody<B>, self =>);

/// What came of reading a body.
pub(super) enum Read<B: Body> {
    Whole(Bytes),
    /// Longer than the limit: what was read, and the rest.
    TooLong(VecDeque<Bytes>, Pin<Box<B>>),
    Broken,
}

/// Reads a body, up to a limit in bytes. A body that says beforehand that it is longer is not read.
pub(super) async fn read<B: Body>(body: B, limit: usize) -> Read<B> {
    let mut body = Box::pin(body);
    let mut parts = VecDeque::new();
    if body.size_hint().lower() > u64::try_from(limit).unwrap_or(u64::MAX) {
        return Read::TooLong(parts, body);
    }
    let mut length = 0_usize;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return Read::Broken };
        // Trailers say nothing about what was asked.
        let Ok(mut data) = frame.into_data() else { continue };
        let part = data.copy_to_bytes(data.remaining());
        length = length.saturating_add(part.len());
        if !part.is_empty() {
            parts.push_back(part);
        }
        if length > limit {
            return Read::TooLong(parts, body);
        }
    }
    if parts.len() < 2 {
        return Read::Whole(parts.pop_front().unwrap_or_default());
    }
    let mut whole = BytesMut::with_capacity(length);
    for part in parts {
        whole.extend_from_slice(&part);
    }
    Read::Whole(whole.freeze())
}
