"""Where pictures come from: files, folders, lists, videos, cameras; and how drawn ones are written."""
