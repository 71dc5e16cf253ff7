"""What must not lose, repeat or reorder an event, whatever dies, repeats, overtakes or stalls. The oracle is everywhere
the same (`fleet.Follower.has`): what a client has recorded of a call is its journal, once and in order.

| fault | ordinary form | long form |
|---|---|---|
| F1 gateway killed in a burst | test_gateways | |
| F2 gateway leaves; live calls go on | test_gateways, test_live_calls | test_live_calls (any moment) |
| F3 stream to the store: reset, refused, half open; the store dead or silent | test_store | test_store |
| F4 what only Firestore itself does | test_listen, realtime/test_listener | |
| F5 a poisoned event | test_store | |
| F6 news twice, at once, out of order | test_ingest | |
| F7, F9 dead after publishing, after the commit | test_ingest | |
| F8 dead before publishing; killed anywhere in the chain | test_ingest, test_chain | test_chain |
| F10 the store away; calls and webhooks go on | test_store (2 s) | test_store (30 s, 150 s) |
| F11 the bus away | test_ingest | |
| F12 a client cut 50 times, to other gateways | test_gateways | |
| F13 an event between registration and reading | test_clients | |
| F14 a slow client beside fast ones | test_clients | |
| F15 all come back at once | test_clients (100) | test_clients (1,000 on three gateways) |
| F16 another journal, an expired one | test_clients | |
| F17 clocks that are wrong | test_clients | test_clients |
| F18 poison: order, dead letters, replay | test_poison | test_poison (dead letters of Pub/Sub's emulator) |
| F19 planned closes | test_gateways | |
| F20 soak | test_store (some rounds) | test_store (60 s; 20 min or CALLBOARD_TEST_SOAK_S) |
"""
