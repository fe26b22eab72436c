"""JSON Merge Patch (RFC 7396)."""

from api.schemas.base import Json


def merge_patch(target: Json, patch: Json) -> Json:
    """Apply a patch to a document: null removes, objects are merged, anything else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged
