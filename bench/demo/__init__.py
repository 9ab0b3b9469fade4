"""``bin/demo``: two datacenters on this machine, a shop that writes in one of them, and its rows arriving in the other.

Databases and ZooKeeper are private children (``bench.servers``); everything of Otter's goes through its public
interface, the command line and the REST API, as a user would do it.
"""
