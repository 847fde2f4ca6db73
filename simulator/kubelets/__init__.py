"""What kubelets and metrics.k8s.io tell of usage: living numbers, and nonsense on demand."""
