"""The shop's tables: what a real one has (generated keys, a second unique key, foreign keys, money, JSON, names in
two scripts, pictures)."""

from __future__ import annotations

TABLES = {
    "customers": """
        CREATE TABLE customers (
            id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
            email VARCHAR(190) NOT NULL,
            name VARCHAR(80) NOT NULL,
            level ENUM('普通', 'silver', 'gold') NOT NULL DEFAULT '普通',
            balance DECIMAL(12, 2) NOT NULL DEFAULT 0,
            profile JSON,
            registered DATETIME(6) NOT NULL,
            UNIQUE KEY email (email)
        )""",
    "products": """
        CREATE TABLE products (
            id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
            sku CHAR(12) NOT NULL,
            name VARCHAR(120) NOT NULL,
            price DECIMAL(10, 2) NOT NULL,
            stock INT NOT NULL,
            tags SET('new', 'sale', '热卖') NOT NULL DEFAULT '',
            weight DOUBLE,
            changed TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3),
            UNIQUE KEY sku (sku)
        )""",
    "pictures": """
        CREATE TABLE pictures (
            product_id INT UNSIGNED NOT NULL PRIMARY KEY,
            picture MEDIUMBLOB NOT NULL,
            CONSTRAINT pictures_product FOREIGN KEY (product_id) REFERENCES products (id)
        )""",
    "orders": """
        CREATE TABLE orders (
            id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
            customer_id BIGINT UNSIGNED NOT NULL,
            status ENUM('new', 'paid', 'shipped', '已完成') NOT NULL DEFAULT 'new',
            total DECIMAL(12, 2) NOT NULL DEFAULT 0,
            placed DATETIME(6) NOT NULL,
            remark VARCHAR(600),
            address JSON,
            KEY placed (placed),
            CONSTRAINT orders_customer FOREIGN KEY (customer_id) REFERENCES customers (id)
        )""",
    "order_lines": """
        CREATE TABLE order_lines (
            order_id BIGINT UNSIGNED NOT NULL,
            line SMALLINT UNSIGNED NOT NULL,
            product_id INT UNSIGNED NOT NULL,
            quantity SMALLINT NOT NULL,
            price DECIMAL(10, 2) NOT NULL,
            PRIMARY KEY (order_id, line),
            CONSTRAINT lines_order FOREIGN KEY (order_id) REFERENCES orders (id)
        )""",
}

#: The report's copy of the orders: no foreign key, because it has no customers.
REPORT = TABLES["orders"].replace(
    ",\n            CONSTRAINT orders_customer FOREIGN KEY (customer_id) REFERENCES customers (id)", ""
)


def shop() -> list[str]:
    """Statements that make the schema ``shop``."""
    return ["CREATE DATABASE shop CHARACTER SET utf8mb4", "USE shop", *TABLES.values()]


def report() -> list[str]:
    """Statements that make ``shop_report`` with its one table."""
    return ["CREATE DATABASE shop_report CHARACTER SET utf8mb4", "USE shop_report", REPORT]
