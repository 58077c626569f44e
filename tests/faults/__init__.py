"""Every fault that operators of gateways report, played at every door, and scored."""
