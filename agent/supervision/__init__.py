"""The watchers of a process by its scope: which there are, from when, until when. Not the watching, nor the link."""
