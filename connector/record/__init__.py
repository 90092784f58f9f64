"""What is on record: the audit log, exports, and erasing what is asked to be erased."""
