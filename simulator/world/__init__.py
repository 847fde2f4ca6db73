"""The small living cluster inside the pretend one: controllers, kubelets, people, and what happens to them."""
