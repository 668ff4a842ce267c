"""Real servers and clips for tests: RTSP, HTTP, media whose frames carry their number."""
