"""The one door to ZooKeeper. kazoo's threads stay behind it; inside the house everything is asyncio."""
