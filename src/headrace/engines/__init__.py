"""What makes tokens. One protocol (`engine`), one folder or file per engine; heavy ones load when chosen."""
