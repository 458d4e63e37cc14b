"""Settings for mail programs that configure themselves, and the MTA-STS policy: public, for local domains only.

mozilla    Thunderbird and others: an XML file for a domain
outlook    Microsoft's autodiscover: a request and a response in XML
apple      a configuration profile for iOS and macOS
mta_sts    what other servers may expect of our TLS
"""

from relate_api.autoconfig.endpoints import PATHS, router

__all__ = ["PATHS", "router"]
