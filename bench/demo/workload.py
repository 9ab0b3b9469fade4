"""The shop at work: several sessions that place, change and cancel orders, and one that imports in bulk.

Small transactions travel inline or through memory; the bulk ones are over 5 MB, so they travel as files.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pymysql
from pymysql.cursors import Cursor

FAMILY = ("王", "李", "张", "刘", "陈", "Smith", "Müller", "García", "O'Neil", "Ñandú")
GIVEN = ("伟", "芳", "秀英", "敏", "Anna", "José", "Zoë", "Bob", "😀", "a\\b")
THINGS = ("茶壶", "Teapot", "自行车", "Bicycle", "Lampe", "手机", 'Screen 27"', "Chaise")
#: Lock wait, deadlock, and a row that another session removed or used meanwhile: tried again with other rows.
CONTENTION = {1205, 1213, 1451, 1452}


@dataclass
class Written:
    """What the shop has committed so far."""

    transactions: int = 0
    big: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, big: bool) -> None:
        with self.lock:
            self.transactions += 1
            self.big += big


class Shop:
    """Writers as threads; ``rate`` is in transactions per second over all small ones."""

    def __init__(self, connect: Callable[[str], pymysql.Connection[Any]], rate: float = 150, writers: int = 3) -> None:
        self._connect = connect
        self._pause = writers / rate
        self._stop = threading.Event()
        self.written = Written()
        self.failure: BaseException | None = None
        jobs = [self._small] * writers + [self._big]
        self._threads = [threading.Thread(target=self._run, args=(job, i), daemon=True) for i, job in enumerate(jobs)]

    def start(self) -> None:
        """Fills the shop, then opens it."""
        with self._connect("shop") as connection:
            session = Session(connection, random.Random(0))
            for _ in range(4):
                session.commit(session.new_customers)
            session.commit(session.import_products)
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Closes it; every transaction that began has committed or never will. Raises what a writer failed with."""
        self._stop.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(30)
        if self.failure:
            raise self.failure

    def _run(self, job: Callable[[Session], None], seed: int) -> None:
        try:
            with self._connect("shop") as connection:
                job(Session(connection, random.Random(seed + 1)))
        except (pymysql.MySQLError, OSError) as error:
            if not self._stop.is_set():
                self.failure = error

    def _small(self, session: Session) -> None:
        next_at = time.monotonic()
        while not self._stop.wait(max(0.0, next_at - time.monotonic())):
            next_at = max(next_at + self._pause, time.monotonic() - 1)
            if session.commit(session.choose()):
                self.written.add(big=False)

    def _big(self, session: Session) -> None:
        jobs = (session.import_orders, session.import_products, session.reprice)
        for number in range(1_000_000):
            if self._stop.wait(1.0 if number == 0 else 3.0):
                return
            if session.commit(jobs[number % len(jobs)]):
                self.written.add(big=True)


class Session:
    """One connection of the shop."""

    def __init__(self, connection: pymysql.Connection[Any], random_: random.Random) -> None:
        self._connection = connection
        self._random = random_

    def commit(self, work: Callable[[Cursor], None]) -> bool:
        """Runs ``work`` as one transaction; False when another session was in the way."""
        try:
            self._connection.begin()
            with self._connection.cursor() as cursor:
                work(cursor)
            self._connection.commit()
        except pymysql.MySQLError as error:
            if error.args[0] not in CONTENTION:
                raise
            self._connection.rollback()
            return False
        return True

    def choose(self) -> Callable[[Cursor], None]:
        jobs = (self.order, self.pay, self.register, self.cancel, self.swap_emails, self.sale, self.forget)
        return self._random.choices(jobs, (50, 20, 10, 8, 4, 4, 4))[0]

    def order(self, cursor: Cursor) -> None:
        """A customer orders up to five things: order, lines, stock, total."""
        customer = self._some(cursor, "customers")
        cursor.execute(
            "INSERT INTO orders (customer_id, placed, remark, address) VALUES (%s, NOW(6), %s, %s)",
            (customer, self._random.choice((None, "", "快点发货", "leave at the door")), self._address()),
        )
        order, total = cursor.lastrowid, 0.0
        for line in range(1, self._random.randint(2, 6)):
            product, quantity, price = self._some(cursor, "products"), self._random.randint(1, 4), line * 9.95
            cursor.execute(
                "INSERT INTO order_lines VALUES (%s, %s, %s, %s, %s)", (order, line, product, quantity, price)
            )
            cursor.execute("UPDATE products SET stock = stock - %s WHERE id = %s", (quantity, product))
            total += quantity * price
        cursor.execute("UPDATE orders SET total = %s WHERE id = %s", (total, order))

    def pay(self, cursor: Cursor) -> None:
        order = self._some(cursor, "orders")
        cursor.execute("UPDATE orders SET status = ELT(FIELD(status, 'new', 'paid') + 1, '已完成', 'paid', 'shipped')"
                       " WHERE id = %s", (order,))  # fmt: skip
        cursor.execute("UPDATE customers c JOIN orders o ON o.customer_id = c.id SET c.balance = c.balance - o.total"
                       " WHERE o.id = %s", (order,))  # fmt: skip

    def register(self, cursor: Cursor) -> None:
        self._insert_customers(cursor, 1)

    def new_customers(self, cursor: Cursor) -> None:
        self._insert_customers(cursor, 500)

    def cancel(self, cursor: Cursor) -> None:
        order = self._some(cursor, "orders")
        cursor.execute("DELETE FROM order_lines WHERE order_id = %s", (order,))
        cursor.execute("DELETE FROM orders WHERE id = %s", (order,))

    def swap_emails(self, cursor: Cursor) -> None:
        """Two customers trade addresses: the second unique key moves between rows within a transaction."""
        one, two = sorted((self._some(cursor, "customers"), self._some(cursor, "customers")))
        cursor.execute("SELECT email FROM customers WHERE id IN (%s, %s) ORDER BY id FOR UPDATE", (one, two))
        emails = [row[0] for row in cursor.fetchall()]
        if len(emails) == 2:
            cursor.execute("UPDATE customers SET email = CONCAT('moving-', id) WHERE id = %s", (one,))
            cursor.execute("UPDATE customers SET email = %s WHERE id = %s", (emails[0], two))
            cursor.execute("UPDATE customers SET email = %s WHERE id = %s", (emails[1], one))

    def sale(self, cursor: Cursor) -> None:
        first = self._some(cursor, "products")
        cursor.execute("UPDATE products SET tags = 'sale,热卖', price = price * 0.9"
                       " WHERE id BETWEEN %s AND %s", (first, first + 9))  # fmt: skip

    def forget(self, cursor: Cursor) -> None:
        """A customer without orders leaves."""
        cursor.execute("DELETE FROM customers WHERE id = %s AND NOT EXISTS"
                       " (SELECT 1 FROM orders WHERE customer_id = customers.id)",
                       (self._some(cursor, "customers"),))  # fmt: skip

    def import_orders(self, cursor: Cursor) -> None:
        """12,000 orders of another system in one transaction (about 6 MB)."""
        cursor.execute("SELECT id FROM customers LIMIT 500 FOR UPDATE")
        customers = [row[0] for row in cursor.fetchall()]
        address = self._address()
        for _ in range(12):
            rows = [
                (self._random.choice(customers), "imported 导入 " + self._random.randbytes(190).hex(), address)
                for _ in range(1000)
            ]
            cursor.executemany(
                "INSERT INTO orders (customer_id, placed, remark, address) VALUES (%s, NOW(6), %s, %s)", rows
            )

    def import_products(self, cursor: Cursor) -> None:
        """100 products with pictures in one transaction (about 6.5 MB that cannot be compressed)."""
        for _ in range(100):
            cursor.execute(
                "INSERT INTO products (sku, name, price, stock, tags, weight) VALUES (%s, %s, %s, %s, 'new', %s)",
                (self._random.randbytes(6).hex(), self._random.choice(THINGS), self._random.randint(99, 99999) / 100,
                 self._random.randint(0, 5000), self._random.random()),
            )  # fmt: skip
            picture = self._random.randbytes(65_000)
            cursor.execute("INSERT INTO pictures VALUES (%s, _binary %s)", (cursor.lastrowid, picture))

    def reprice(self, cursor: Cursor) -> None:
        """Every imported order is looked at again: thousands of updated rows in one transaction."""
        cursor.execute("UPDATE orders SET total = total + 1, status = 'paid' WHERE status = 'new'"
                       " ORDER BY id DESC LIMIT 12000")  # fmt: skip

    def _insert_customers(self, cursor: Cursor, count: int) -> None:
        rows = [
            (f"{self._random.randbytes(6).hex()}@example.com", self._random.choice(FAMILY) + self._random.choice(GIVEN),
             self._random.choice(("普通", "silver", "gold")), self._random.randint(-100, 10**6) / 100,
             json.dumps({"心情": "😀", "tags": ["a", "b"], "n": self._random.random()}, ensure_ascii=False))
            for _ in range(count)
        ]  # fmt: skip
        cursor.executemany("INSERT INTO customers (email, name, level, balance, profile, registered)"
                           " VALUES (%s, %s, %s, %s, %s, NOW(6))", rows)  # fmt: skip

    def _some(self, cursor: Cursor, table: str) -> int:
        """The key of some row (or one that does not exist, which is as good)."""
        cursor.execute(f"SELECT id FROM {table} ORDER BY id DESC LIMIT 1")
        last = cursor.fetchone()
        first = self._random.randint(1, last[0] if last else 1)
        cursor.execute(f"SELECT id FROM {table} WHERE id >= %s ORDER BY id LIMIT 1", (first,))
        found = cursor.fetchone()
        return int(found[0]) if found else 0

    def _address(self) -> str:
        return json.dumps(
            {"city": self._random.choice(("杭州", "San José", "Zürich")), "zip": "310000"}, ensure_ascii=False
        )
