"""What must a code base change to reach its models through the gateway? Found, told, and partly done."""
