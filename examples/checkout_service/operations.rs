//! `GET /health` and `GET /metrics`: what operators see.
