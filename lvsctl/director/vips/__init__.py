"""VIPs on this director: where each goes, duplicates, and telling the neighbours."""
