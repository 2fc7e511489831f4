"""SQLAlchemy: schema, sessions, migrations and backup; no ORM object leaves this room."""
