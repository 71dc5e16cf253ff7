"""Google's APIs on loopback, as far as our deployment uses them: the real gcloud talks to them through a proxy that
ends TLS with an authority of its own. State is kept in memory; what Google refuses is refused; a call that is not known
here is answered 501 and remembered in `Cloud.unknown`, which fails the test."""
