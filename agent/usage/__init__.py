"""What containers, pods, nodes and volumes use: asked of the kubelet or of metrics.k8s.io, and made into messages."""
