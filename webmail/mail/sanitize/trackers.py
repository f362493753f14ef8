"""Pictures that tell their sender who opened a message, by where they come from, and whose service that is."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

# Paths under which the common sending services count openings.
_PATH = re.compile(
    r"/(?:wf/open|e/o/|o\.gif|o/\w{16,}|open\.(?:aspx|gif|php|html?)|track(?:ing)?/(?:open|email|pixel)|api/track|api/mailings/opened"
    r"|emailopen|email_open(?:s|ed)?(?:[/?.]|$)|imp(?:ression)?\.gif|pixel(?:\.(?:gif|png|php))?(?:[/?]|$)|beacon(?:[/.?]|$)|open(?:/|\?|$)"
    r"|opened(?:[/?]|$)|ss/o/|ea/\w+/o|gif\.gif|1x1|trk(?:[/?.]|$)|trace/|tr/(?:open|\w{12,})|ut\.php|v2/z\.|q/[\w-]{20,})",
    re.IGNORECASE,
)
_SERVICES = """
Mailchimp: list-manage.com mailchimp.com mandrillapp.com mailchimpapp.net
SendGrid: sendgrid.net sendgrid.com sendgrid.me
HubSpot: hubspot.com hubspotemail.net hubspotlinks.com hs-analytics.net sidekickopen77.com sidekickopen\\d+.com
 hubspotstarter.net hubspotpagebuilder.com hs-sites.com
Mailgun: mailgun.org mailgun.net mailgun.com
Salesforce Marketing Cloud: exct.net exacttarget.com s\\d+.exct.net marketingcloudapps.com sfmc-content.com
Salesforce: salesforce.com force.com pardot.com pi.pardot.com
Klaviyo: klaviyo.com klaviyomail.com klclick.com klclick\\d+.com klaviyomail\\d+.com
Campaign Monitor: createsend.com createsend\\d+.com cmail\\d+.com cmail.com
Brevo: sendinblue.com brevo.com sendibt\\d+.com sendibm\\d+.com sibautomation.com
Constant Contact: constantcontact.com rs6.net ctctcdn.com
Amazon SES: awstrack.me amazonses.com
Postmark: pstmrk.it postmarkapp.com
Mailjet: mailjet.com mjt.lu
SparkPost: sparkpostmail.com sparkpostmail\\d+.com sparkpost.com spgo.io
Iterable: iterable.com
Braze: braze.com appboy.com
Customer.io: customeriomail.com customer.io
Intercom: intercom-mail[\\w-]*.com intercom.io
Marketo: marketo.com mktoresp.com mkto-\\w+.com
Adobe Campaign: adobe-campaign.com campaign.adobe.com neolane.net
Oracle Eloqua: eloqua.com en25.com
Oracle Responsys: responsys.net
Acoustic: mkt\\d+.com pages\\d+.net silverpop.com
ActiveCampaign: activehosted.com acemlna.com acemlnb.com acemlnc.com emlnk\\d*.com activecampaign.com
Kit: convertkit[\\w-]*.com kit.com
AWeber: aweber.com
GetResponse: getresponse.com gr-mail.com getresponse360.com
MailerLite: mailerlite.com mlsend.com mlsend\\d+.com
Drip: getdrip.com drip.com
Omnisend: omnisend.com omnisendlink.com
Emarsys: emarsys.net emarsys.com emsecure.net
Dotdigital: dotmailer.com dmtrk.net dotdigital.com
Cordial: cordial.com cordial.io
Listrak: listrak.com listrakbi.com
Substack: substack.com
beehiiv: beehiiv.com
Sailthru: sailthru.com
Movable Ink: movable-ink-\\d+.com movableink.com
Litmus: emltrk.com litmus.com
Return Path: returnpath.net
CleverReach: cleverreach.com cleverreach.de crsend.com
Inxmail: inxmail.com inxserver.com inxserver.de
Mapp: mapp.com ecircle-ag.com
Episerver: episerver.net srv2.de broadmail.de
rapidmail: rapidmail.com emailsys\\d*a.net emailsys.net
Yesware: yesware.com
Mailtrack: mailtrack.io mailtrack.me mailfoogae.appspot.com
Streak: streak.com
Bananatag: bananatag.com bl-1.com
Superhuman: superhuman.com
Mixmax: mixmax.com
Polymail: polymail.io
Cirrus Insight: cirrusinsight.com
Tout: toutapp.com
Mailstat: mailstat.us
Close: close.io close.com
Outreach: outrch.com outreach.io
NetHunt: nethunt.com nethunt.co
GMass: gmass.co gmtrack.net
Rebump: rebump.cc
Signal: signaldomn.online
Boomerang: baydin.com boomeranggmail.com
Right Inbox: rightinbox.com
Saleshandy: saleshandy.com
Salesloft: salesloft.com slft.to
Reply.io: reply.io
Lemlist: lemlist.com
Woodpecker: woodpecker.co
Apollo: apollo.io
Mailshake: mailshake.com
Front: frontapp.com
Zendesk: zendesk.com
Google Analytics: google-analytics.com
Google Ads: doubleclick.net googleadservices.com googlesyndication.com
Facebook: facebook.com
LinkedIn: linkedin.com licdn.com
X: t.co twitter.com
Criteo: criteo.com criteo.net
LiveIntent: liadm.com liveintent.com
PowerInbox: powerinbox.com
MessageGears: messagegears.com
Zeta Global: zetaglobal.net
Bluecore: bluecore.com
Attentive: attentivemobile.com attn.tv
Xing: xing.com
"""
# Hosts that serve nothing else in mail than a look at who opened it.
_ONLY_TRACKING = """
awstrack.me mailfoogae.appspot.com sidekickopen\\d+.com email.mixmax.com track.mixmax.com via.intercom-mail[\\w-]*.com
open.convertkit[\\w-]*.com toutapp.com gmtrack.net emltrk.com google-analytics.com mailtrack.io mailstat.us yesware.com
bananatag.com bl-1.com doubleclick.net liadm.com signaldomn.online
"""
_NAMED_FOR_IT = re.compile(r"(?:track(?:ing|er)?|opens?|pixel|beacon|clicks?)\d*\.[\w.-]+")


def _pattern(hosts: str) -> str:
    return "|".join(host.replace(".", r"\.") for host in hosts.split())


def _table() -> tuple[re.Pattern[str], dict[str, str]]:
    """One pattern for all hosts, and the name of the service by the number of its group."""
    groups, names = [], {}
    for number, entry in enumerate(re.split(r"\n(?=\S)", _SERVICES.strip())):
        name, _, hosts = entry.partition(":")
        groups.append(f"(?P<s{number}>{_pattern(hosts)})")
        names[f"s{number}"] = name
    return re.compile(r"(?:.+\.)?(?:" + "|".join(groups) + ")"), names


_HOSTS, _NAMES = _table()
_TRACKING_HOST = re.compile(r"(?:.+\.)?(?:" + _pattern(_ONLY_TRACKING) + ")")


@dataclass(frozen=True, slots=True)
class Tracker:
    """A host that a tracking picture names, and the service it belongs to; an empty name where it is not a known one."""

    host: str
    name: str


def tracker_name(host: str) -> str:
    """The mail or advertising service that a host belongs to, or an empty string. Linear in the host's length."""
    found = _HOSTS.fullmatch(host[:253].lower().removesuffix("."))
    return _NAMES[found.lastgroup or ""] if found else ""


def named(hosts: Iterable[str]) -> tuple[Tracker, ...]:
    """The trackers of a message (`Reading.trackers`), those of known services first."""
    known = (Tracker(host, tracker_name(host)) for host in hosts)
    return tuple(sorted(known, key=lambda one: (not one.name, one.name.lower(), one.host)))


def is_tracker(url: str, host: str, *, worded: bool, sized: bool) -> bool:
    """Whether a picture at this address (canonical) only watches. `worded`: it has alternative text; `sized`: it claims room
    on the page."""
    host = host.lower()
    if _TRACKING_HOST.fullmatch(host):
        return True
    return not worded and (
        _PATH.search(url) is not None or (not sized and _NAMED_FOR_IT.fullmatch(host) is not None)
    )
