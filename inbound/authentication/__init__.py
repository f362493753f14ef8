"""Who a message is really from: SPF (RFC 7208), DKIM (RFC 6376), ARC (RFC 8617), DMARC (RFC 9989).

A judgement is recorded in one Authentication-Results field (RFC 8601) among our own trace fields and decides nothing: no mail is
refused or lost for it, and what cannot be found out in time is `temperror`. Where RFC 9989 and RFC 7489 differ, the newer is
followed: organizational domains are found by the DNS tree walk, `np=` and `t=` count, `pct=` does not.

What is strangers' here is bytes and DNS answers. Both are bounded before they are read: `limits` has the numbers.
"""
