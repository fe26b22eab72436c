"""What lvsctl is installed from: Debian packages and the agent in a single file.

Everything inside comes from wheels whose versions and hashes are in requirements/, made by
``make lock``. The same tree and SOURCE_DATE_EPOCH give the same bytes.
"""
