"""What a linear map and a link are; their weights."""
